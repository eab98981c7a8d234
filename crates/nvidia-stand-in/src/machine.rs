//! The machine that the stand-in pretends to see: a file of cards, MIG devices and their device nodes.
//!
//! ```json
//! {"control": [{"path": "/dev/nvidiactl", "type": "b", "major": 7, "minor": 1100}],
//!  "cards": [{"uuid": "GPU-…", "node": {…}},
//!            {"uuid": "GPU-…", "node": {…}, "mig": [{"uuid": "MIG-…", "nodes": [{…}]}]}]}
//! ```
//! A card's index is its place in the list; a card with `mig` is in MIG mode, even if the list is empty.

use serde::Deserialize;

/// A device node to attach.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Node {
    pub(crate) path: String,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) major: u32,
    pub(crate) minor: u32,
}

/// A MIG device of a card.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Mig {
    pub(crate) uuid: String,
    /// The capability nodes (GPU instance, compute instance).
    pub(crate) nodes: Vec<Node>,
}

/// A card.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Card {
    pub(crate) uuid: String,
    /// `/dev/nvidia<N>`.
    pub(crate) node: Node,
    /// Its MIG devices, in the order of their ordinals; absent when it is not in MIG mode.
    #[serde(default)]
    pub(crate) mig: Option<Vec<Mig>>,
    /// Its PCI bus id, `00000000:07:00.0`.
    #[serde(default)]
    pub(crate) pci: Option<String>,
}

/// The machine.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Machine {
    /// Nodes that every GPU container gets (`/dev/nvidiactl`, `/dev/nvidia-uvm`, …).
    #[serde(default)]
    pub(crate) control: Vec<Node>,
    pub(crate) cards: Vec<Card>,
}

/// Something that can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found<'a> {
    /// A whole card.
    Card(&'a Card),
    /// A MIG device and the card it is on.
    Mig(&'a Card, &'a Mig),
}

impl<'a> Found<'a> {
    /// The nodes that go with it: a MIG device needs its card's node as well.
    pub(crate) fn nodes(self) -> Vec<&'a Node> {
        match self {
            Self::Card(card) => vec![&card.node],
            Self::Mig(card, mig) => std::iter::once(&card.node).chain(&mig.nodes).collect(),
        }
    }
}

impl Machine {
    /// The card with this index.
    pub(crate) fn by_index(&self, index: &str) -> Option<Found<'_>> {
        self.cards.get(number(index)?).map(Found::Card)
    }

    /// The MIG device `card:ordinal`.
    pub(crate) fn by_mig_index(&self, index: &str) -> Option<Found<'_>> {
        let (card, ordinal) = index.split_once(':')?;
        let card = self.cards.get(number(card)?)?;
        let mig = card.mig.as_ref()?.get(number(ordinal)?)?;
        Some(Found::Mig(card, mig))
    }

    /// The card or MIG device with this UUID, in whatever capitals.
    pub(crate) fn by_uuid(&self, uuid: &str) -> Option<Found<'_>> {
        self.everything().into_iter().find(|found| {
            let theirs = match found {
                Found::Card(card) => &card.uuid,
                Found::Mig(_, mig) => &mig.uuid,
            };
            theirs.eq_ignore_ascii_case(uuid)
        })
    }

    /// The card on this PCI bus id.
    pub(crate) fn by_pci(&self, id: &str) -> Option<Found<'_>> {
        let same = |card: &&Card| card.pci.as_ref().is_some_and(|pci| pci.eq_ignore_ascii_case(id));
        self.cards.iter().find(same).map(Found::Card)
    }

    /// Every card and every MIG device.
    pub(crate) fn everything(&self) -> Vec<Found<'_>> {
        let cards = self.cards.iter().map(Found::Card);
        let migs = self
            .cards
            .iter()
            .flat_map(|card| card.mig.iter().flatten().map(move |mig| Found::Mig(card, mig)));
        cards.chain(migs).collect()
    }

    /// What `all` means in CDI: cards that are not in MIG mode, and MIG devices.
    pub(crate) fn usable(&self) -> Vec<Found<'_>> {
        let whole = |found: &Found<'_>| !matches!(found, Found::Card(card) if card.mig.is_some());
        self.everything().into_iter().filter(whole).collect()
    }
}

/// A plain decimal number; signs and blanks, which C would take, are not.
fn number(text: &str) -> Option<usize> {
    (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
}
