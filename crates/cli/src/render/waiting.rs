//! What is waited for, a place in line or an image: one line that is rewritten on a terminal, or one line a change in a
//! pipe.

use ds01_api::{Holder, Waiting};
use unicode_width::UnicodeWidthStr as _;

use super::table::cut;
use super::words::{countdown, duration};

/// For a terminal of `columns`: what matters most comes first, and what does not fit is left out.
/// `passed_seconds` is the time since the daemon said so.
pub(crate) fn waiting_line(place: &Waiting, passed_seconds: u64, columns: u16) -> String {
    // The last column stays free: writing there makes some terminals go on to the next line.
    let room = usize::from(columns).saturating_sub(1);
    let left = place.left_seconds.saturating_sub(passed_seconds);
    let mut line = format!("{} · {} left", headline(place), countdown(left));
    let reason = place.reason.clone();
    let holders = holders_by_length(place);
    // When it may be over is what people want to know.
    if let Some(outlook) = place.outlook.as_ref().filter(|told| line.width() + 3 + told.text.width() <= room)
    {
        line.push_str(" · ");
        line.push_str(&outlook.text);
    }
    let both = holders.iter().map(|holders| format!("{reason} · {holders}"));
    // Who holds the GPUs says more than the reason does; the reason says more than nothing.
    let middle = both.chain(holders.iter().cloned()).chain([reason.clone()]);
    for mut forms in [middle.collect::<Vec<_>>(), vec!["Ctrl-C gives up".to_owned()]] {
        forms.retain(|part| line.width() + 3 + part.width() <= room);
        if let Some(part) = forms.first() {
            line.push_str(" · ");
            line.push_str(part);
        }
    }
    cut(&line, room)
}

/// Ways of naming the holders, the fullest first.
fn holders_by_length(place: &Waiting) -> Vec<String> {
    let short: Vec<String> =
        place.holders.iter().map(|holder| format!("{}{}", holder.owner, units(holder))).collect();
    let some = (1..short.len())
        .rev()
        .map(|n| format!("held by {} and {} more", short[..n].join(", "), short.len() - n));
    let all = (!short.is_empty()).then(|| format!("held by {}", short.join(", ")));
    holders(place).into_iter().chain(all).chain(some).collect()
}

/// For a pipe or a log: everything, and nothing that changes by itself from one second to the next.
pub(crate) fn waiting_report(place: &Waiting) -> String {
    let holders = holders(place).map(|holders| format!("; {holders}")).unwrap_or_default();
    let outlook = place.outlook.as_ref().map(|outlook| format!("; {}", outlook.text)).unwrap_or_default();
    format!("{}: {}{holders}{outlook}", headline(place), place.reason)
}

/// How far an image is that is being fetched, for a terminal of `columns`.
pub(crate) fn fetching(image: &str, layers: usize, of: usize, columns: u16) -> String {
    let far = if of == 0 { String::new() } else { format!(": {layers} of {of} layers") };
    cut(&format!("fetching {image}{far}"), usize::from(columns).saturating_sub(1))
}

fn headline(place: &Waiting) -> String {
    match (place.position, place.of) {
        (1, 1) => "waiting for a GPU, next in line".to_owned(),
        (position, of) => format!("waiting for a GPU, {position} of {of}"),
    }
}

fn holders(place: &Waiting) -> Option<String> {
    let who: Vec<String> = place.holders.iter().map(holder).collect();
    (!who.is_empty()).then(|| format!("held by {}", who.join(", ")))
}

fn holder(holder: &Holder) -> String {
    let what = holder.container.as_ref().map(|name| format!("/{name}")).unwrap_or_default();
    format!("{}{what}{} for {}", holder.owner, units(holder), duration(holder.held_seconds))
}

fn units(holder: &Holder) -> String {
    holder.units.iter().map(|unit| format!(" {unit}")).collect()
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn what_fits_is_told() {
        let holder = |owner: &str, container: Option<&str>, unit: &str| Holder {
            owner: owner.to_owned(),
            mine: container.is_some(),
            container: container.map(str::to_owned),
            units: vec![unit.to_owned()],
            held_seconds: 7800,
            left_seconds: None,
        };
        let place = Waiting {
            position: 2,
            of: 3,
            reason: "both units are held".to_owned(),
            holders: vec![holder("alice", Some("train"), "0"), holder("bob", None, "1:0")],
            waited_seconds: 10,
            left_seconds: 170,
            outlook: None,
        };
        let lines: Vec<String> =
            [200, 100, 80, 50, 20].into_iter().map(|columns| waiting_line(&place, 9, columns)).collect();
        for (line, columns) in lines.iter().zip([200, 100, 80, 50, 20]) {
            assert!(line.width() < columns, "{line}");
        }
        expect![[r#"
            waiting for a GPU, 2 of 3 · 2 min 41 s left · both units are held · held by alice/train 0 for 2 h 10 min, bob 1:0 for 2 h 10 min · Ctrl-C gives up
            waiting for a GPU, 2 of 3 · 2 min 41 s left · both units are held · held by alice 0, bob 1:0
            waiting for a GPU, 2 of 3 · 2 min 41 s left · held by alice 0, bob 1:0
            waiting for a GPU, 2 of 3 · 2 min 41 s left
            waiting for a GPU,…"#]].assert_eq(&lines.join("\n"));
        expect!["waiting for a GPU, 2 of 3: both units are held; held by alice/train 0 for 2 h 10 min, bob 1:0 for 2 h 10 min"].assert_eq(&waiting_report(&place));
        let outlook = ds01_api::Outlook {
            expected_seconds: Some(600),
            latest_seconds: None,
            text: "expected 14:20, if bob/parked stays idle".to_owned(),
        };
        let told = Waiting { outlook: Some(outlook), ..place.clone() };
        expect!["waiting for a GPU, 2 of 3 · 2 min 41 s left · expected 14:20, if bob/parked stays idle · held by alice 0, bob 1:0"]
            .assert_eq(&waiting_line(&told, 9, 120));
        expect!["waiting for a GPU, 2 of 3 · 2 min 41 s left · held by alice 0, bob 1:0"]
            .assert_eq(&waiting_line(&told, 9, 80));
        expect!["waiting for a GPU, next in line · 0 s left · both units are held · Ctrl-C gives up"]
            .assert_eq(&waiting_line(&Waiting { position: 1, of: 1, holders: vec![], ..place }, 500, 120));
    }
}
