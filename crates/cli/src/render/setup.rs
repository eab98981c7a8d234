//! Setting oneself up: where Jupyter is.

use super::{TITLE, facts, next_steps, styled};
use crate::commands::Reachable;

/// `ds01 jupyter`.
pub(crate) fn jupyter(reachable: &Reachable) -> String {
    let Reachable { name, url, url_on_server, tunnel, already } = reachable;
    let what = if *already { "runs already" } else { "runs" };
    let rows = [
        ("1. on your computer", tunnel.clone()),
        ("2. in your browser", url.clone()),
        ("on the server", url_on_server.clone()),
    ];
    let steps = [
        (format!("ds01 jupyter {name} --stop"), "stop it; the container goes on"),
        (format!("container retire {name}"), "stop everything, free the GPU"),
    ];
    let title = styled(TITLE, &format!("Jupyter {what} in {name}."));
    format!("{title}\n{}\n{}", facts(rows), next_steps(&steps))
}
