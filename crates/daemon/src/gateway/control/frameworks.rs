//! `GET frameworks`: the machine's catalogue of images to begin with.

use ds01_api::{Framework, FrameworkList};
use hyper::{Response, StatusCode};

use super::Ask;
use crate::gateway::http::{self, Body};

pub(super) fn frameworks(ask: &Ask) -> Response<Body> {
    let config = ask.door.config();
    let frameworks = config.frameworks.iter();
    let frameworks =
        frameworks.map(|(name, image)| Framework { name: name.clone(), image: image.clone() }).collect();
    http::json(StatusCode::OK, &FrameworkList { frameworks })
}
