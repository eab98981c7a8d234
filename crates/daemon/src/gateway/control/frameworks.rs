//! `GET frameworks`: the machine's catalogue of images to begin with, and of packages by purpose.

use ds01_api::{Framework, FrameworkList, UseCase};
use hyper::{Response, StatusCode};

use super::Ask;
use crate::config;
use crate::gateway::http::{self, Body};

pub(super) fn frameworks(ask: &Ask) -> Response<Body> {
    let config = ask.door.config();
    let frameworks = config.frameworks.iter();
    let frameworks =
        frameworks.map(|(name, image)| Framework { name: name.clone(), image: image.clone() }).collect();
    let use_cases = config.use_cases.as_ref().map(|list| list.iter().cloned().map(told).collect());
    http::json(StatusCode::OK, &FrameworkList { frameworks, use_cases })
}

fn told(use_case: config::UseCase) -> UseCase {
    let config::UseCase { key, title, packages, system } = use_case;
    UseCase { key, title, packages, system }
}
