//! MIG profiles: which slices a card of a simulated machine may be cut into.
//!
//! The geometry of the real cards: a profile takes compute slices and memory slices. Names vary with the model, so
//! the number of slices decides, and the name is checked against it.

use std::fmt;

use ds01_domain::Weight;

/// A kind of slice on a certain card: `2g.20gb`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// The name as the driver writes it.
    pub name: String,
    /// Compute slices.
    pub compute: u8,
    /// Memory slices.
    pub memory: u8,
    /// Memory in MiB.
    pub memory_mib: u64,
    /// The share of the card that it takes from everybody else.
    pub weight: Weight,
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.name)
    }
}

/// How a card can be cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Geometry {
    compute: u8,
    memory: u8,
    card_mib: u64,
}

/// What stands before and after the point of a profile's name.
struct Name<'a> {
    compute: u8,
    gigabytes: u64,
    media: Option<&'a str>,
}

impl Geometry {
    /// The A30 has four of each; every other card that can be cut has seven and eight.
    pub(super) fn of(model: &str, card_mib: u64) -> Self {
        let small =
            model.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| word.eq_ignore_ascii_case("A30"));
        let (compute, memory) = if small { (4, 4) } else { (7, 8) };
        Self { compute, memory, card_mib }
    }

    /// The profile of this name on this card, or what is wrong with it.
    pub(super) fn profile(self, text: &str) -> Result<Profile, String> {
        let name = read_name(text)?;
        let choices: &[u8] = match (self.compute, name.compute) {
            (7, 1) => &[1, 2],
            (7, 2) | (4, 2) => &[2],
            (7, 3 | 4) | (4, 4) => &[4],
            (7, 7) => &[8],
            (4, 1) => &[1],
            _ => return Err(format!("{text}: no profile of this card has {} compute slices", name.compute)),
        };
        let fits = |memory: &&u8| self.gigabytes(**memory).abs_diff(name.gigabytes * 1024) < 1024;
        let Some(&memory) = choices.iter().find(fits) else {
            let right = format!("{}g.{}gb", name.compute, (self.gigabytes(choices[0]) + 512) / 1024);
            let card = self.card_mib / 1024;
            return Err(format!("{text} is a slice of another card; on this one of {card} GB write {right}"));
        };
        if name.media.is_some() && name.compute != 1 && self.compute == 7 {
            return Err(format!("{text}: only slices with one compute slice have a +me form"));
        }
        Ok(Profile {
            name: text.to_ascii_lowercase(),
            compute: name.compute,
            memory,
            memory_mib: self.gigabytes(memory),
            weight: Weight::of_slice(
                name.compute.into(),
                self.compute.into(),
                memory.into(),
                self.memory.into(),
            ),
        })
    }

    /// Memory of so many memory slices, in MiB.
    fn gigabytes(self, memory: u8) -> u64 {
        self.card_mib * u64::from(memory) / u64::from(self.memory)
    }

    /// Whether these slices fit on one card together, or why not.
    ///
    /// Where a slice may begin needs no look: whatever fits by number can be laid out (the tests try them all).
    pub(super) fn fit(self, profiles: &[Profile]) -> Result<(), String> {
        let compute: u32 = profiles.iter().map(|profile| u32::from(profile.compute)).sum();
        if compute > u32::from(self.compute) {
            return Err(format!("these slices have {compute} compute slices; the card has {}", self.compute));
        }
        let memory: u32 = profiles.iter().map(|profile| u32::from(profile.memory)).sum();
        if memory > u32::from(self.memory) {
            return Err(format!("these slices have {memory} memory slices; the card has {}", self.memory));
        }
        if profiles.iter().filter(|profile| profile.name.contains("+me")).count() > 1 {
            return Err("a card has one slice with +me".to_owned());
        }
        Ok(())
    }
}

/// `1g.10gb`, `1g.10gb+me`.
fn read_name(text: &str) -> Result<Name<'_>, String> {
    let unreadable = || format!("{text} is not a MIG profile; write e.g. 1g.10gb");
    let (name, media) = match text.split_once('+') {
        Some((name, media)) => (name, Some(media)),
        None => (text, None),
    };
    if media.is_some_and(|media| media != "me") {
        return Err(unreadable());
    }
    let mut parts = name.split('.');
    let (Some(compute), Some(memory), None) = (parts.next(), parts.next(), parts.next()) else {
        let split = name.split_once('c').is_some_and(|(n, _)| n.parse::<u8>().is_ok());
        return Err(match split {
            true => format!("{text} is a compute instance; a simulated card is cut into whole slices"),
            false => unreadable(),
        });
    };
    let number = |part: &str| match part.bytes().all(|b| b.is_ascii_digit()) && part.len() <= 4 {
        true => part.parse::<u64>().ok(),
        false => None,
    };
    let compute = compute.strip_suffix(['g', 'G']).and_then(number).and_then(|n| u8::try_from(n).ok());
    let lower = memory.to_ascii_lowercase();
    let gigabytes = lower.strip_suffix("gb").and_then(number);
    match (compute, gigabytes) {
        (Some(compute), Some(gigabytes)) => Ok(Name { compute, gigabytes, media }),
        _ => Err(unreadable()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weights(model: &str, gigabytes: u64, names: &[&str]) -> String {
        let geometry = Geometry::of(model, gigabytes * 1024);
        let shown: Vec<String> = names
            .iter()
            .map(|name| match geometry.profile(name) {
                Ok(profile) => format!("{name}={}/{}", profile.weight, profile.memory),
                Err(problem) => problem,
            })
            .collect();
        shown.join(" ")
    }

    #[test]
    fn the_profiles_of_the_cards_that_there_are() {
        let a100 = ["1g.5gb", "1g.5gb+me", "1g.10gb", "2g.10gb", "3g.20gb", "4g.20gb", "7g.40gb"];
        let expected = "1g.5gb=0.143/1 1g.5gb+me=0.143/1 1g.10gb=0.25/2 2g.10gb=0.286/2 3g.20gb=0.5/4 \
                        4g.20gb=0.571/4 7g.40gb=1/8";
        assert_eq!(weights("NVIDIA A100-PCIE-40GB", 40, &a100), expected);
        let others: [(u64, &[&str]); 5] = [
            (80, &["1g.10gb", "1g.20gb", "2g.20gb", "3g.40gb", "4g.40gb", "7g.80gb"]),
            (94, &["1g.12gb", "1g.24gb", "2g.24gb", "3g.47gb", "4g.47gb", "7g.94gb"]),
            (141, &["1g.18gb", "1g.35gb", "2g.35gb", "3g.71gb", "4g.71gb", "7g.141gb"]),
            (180, &["1g.23gb", "1g.45gb", "2g.45gb", "3g.90gb", "4g.90gb", "7g.180gb"]),
            (186, &["1g.23gb", "1g.47gb", "2g.47gb", "3g.93gb", "4g.93gb", "7g.186gb"]),
        ];
        for (gigabytes, names) in others {
            let geometry = Geometry::of("NVIDIA H200", gigabytes * 1024);
            let memory: Vec<u8> =
                names.iter().filter_map(|n| geometry.profile(n).ok()).map(|p| p.memory).collect();
            assert_eq!(memory, [1, 2, 2, 4, 4, 8], "{gigabytes}");
        }
        assert_eq!(
            weights("NVIDIA A30", 24, &["1g.6gb", "2g.12gb", "4g.24gb"]),
            "1g.6gb=0.25/1 2g.12gb=0.5/2 4g.24gb=1/4"
        );
    }

    #[test]
    fn names_that_do_not_fit_the_card() {
        let problem = weights("NVIDIA A100-SXM4-80GB", 80, &["1g.5gb"]);
        assert_eq!(problem, "1g.5gb is a slice of another card; on this one of 80 GB write 1g.10gb");
        let geometry = Geometry::of("NVIDIA A100-SXM4-80GB", 80 * 1024);
        for name in [
            "",
            "1g",
            "5g.50gb",
            "1g.10gb+x",
            "1c.3g.40gb",
            "g.gb",
            "1g.10",
            "-1g.10gb",
            "2g.20gb+me",
            "999g.1gb",
        ] {
            assert!(geometry.profile(name).is_err(), "{name}");
        }
    }

    fn fit(gigabytes: u64, names: &[&str]) -> bool {
        let geometry = Geometry::of("NVIDIA A100", gigabytes * 1024);
        let profiles: Vec<Profile> = names.iter().filter_map(|name| geometry.profile(name).ok()).collect();
        assert_eq!(profiles.len(), names.len());
        geometry.fit(&profiles).is_ok()
    }

    #[test]
    fn slices_lie_where_the_driver_lets_them() {
        assert!(fit(80, &["3g.40gb", "2g.20gb", "1g.10gb", "1g.10gb"]));
        assert!(fit(80, &["1g.10gb"; 7]));
        assert!(!fit(80, &["1g.10gb"; 8]));
        assert!(fit(80, &["1g.20gb"; 4]));
        assert!(!fit(80, &["1g.20gb"; 5]));
        assert!(fit(80, &["3g.40gb", "3g.40gb"]));
        assert!(!fit(80, &["3g.40gb", "3g.40gb", "1g.10gb"]), "no memory is left");
        assert!(fit(80, &["4g.40gb", "3g.40gb"]));
        assert!(!fit(80, &["4g.40gb", "4g.40gb"]));
        assert!(fit(80, &["2g.20gb", "2g.20gb", "2g.20gb", "1g.10gb"]));
        assert!(!fit(80, &["1g.10gb+me", "1g.10gb+me"]));
    }

    /// Memory slices, compute slices, and the memory slices at which the driver lets such a slice begin.
    const PLACEMENTS: [(u8, u8, &[u8]); 6] = [
        (8, 7, &[0]),
        (4, 4, &[0]),
        (4, 3, &[0, 4]),
        (2, 2, &[0, 2, 4]),
        (2, 1, &[0, 2, 4, 6]),
        (1, 1, &[0, 1, 2, 3, 4, 5, 6]),
    ];

    fn lies(kinds: &[usize], taken: u16) -> bool {
        let Some((kind, rest)) = kinds.split_first() else { return true };
        let (memory, _, starts) = PLACEMENTS[*kind];
        let mask = (1_u16 << memory) - 1;
        starts.iter().any(|start| taken & (mask << start) == 0 && lies(rest, taken | (mask << start)))
    }

    #[test]
    fn whatever_fits_by_number_can_be_laid_out() {
        let mut open: Vec<Vec<usize>> = vec![Vec::new()];
        let mut tried = 0;
        while let Some(kinds) = open.pop() {
            assert!(lies(&kinds, 0), "{kinds:?}");
            tried += 1;
            let sum = |part: fn(usize) -> u8| kinds.iter().map(|kind| part(*kind)).sum::<u8>();
            let (memory, compute) = (sum(|k| PLACEMENTS[k].0), sum(|k| PLACEMENTS[k].1));
            let from = kinds.last().copied().unwrap_or(0);
            for (next, kind) in PLACEMENTS.iter().enumerate().skip(from) {
                if memory + kind.0 <= 8 && compute + kind.1 <= 7 {
                    open.push([kinds.as_slice(), &[next]].concat());
                }
            }
        }
        assert!(tried > 30, "{tried}");
    }
}
