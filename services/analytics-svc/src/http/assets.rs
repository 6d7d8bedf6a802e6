//! The page, its script and its style: part of the binary, compressed once, named by what is in them.

use std::{collections::BTreeMap, io::Write};

use anyhow::ensure;
use axum::{
    body::Bytes,
    http::{
        HeaderMap, StatusCode,
        header::{
            ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, IF_NONE_MATCH,
            VARY,
        },
    },
    response::{Html, IntoResponse, Response},
};
use chrono_tz::Tz;
use flate2::{Compression, write::GzEncoder};
use serde::Deserialize;
use sha2::{Digest, Sha256};

const INDEX: &str = include_str!("../../assets/index.html");
const LOGIN: &str = include_str!("../../assets/login.html");
const FILES: [(&str, &str, &[u8]); 5] = [
    ("app.css", "text/css", include_bytes!("../../assets/app.css")),
    ("app.js", "text/javascript", include_bytes!("../../assets/app.js")),
    ("icon.svg", "image/svg+xml", include_bytes!("../../assets/icon.svg")),
    ("uplot.css", "text/css", include_bytes!("../../assets/uplot.css")),
    ("uplot.js", "text/javascript", include_bytes!("../../assets/uplot.js")),
];

pub(super) struct Assets {
    pub(super) index: Asset,
    login: String,
    files: BTreeMap<&'static str, Asset>,
}

pub(super) struct Asset {
    kind: &'static str,
    plain: Bytes,
    gzipped: Bytes,
    version: String,
}

/// The version that is named in the address.
#[derive(Debug, Deserialize)]
pub(super) struct Wanted {
    v: Option<String>,
}

impl Assets {
    /// With what all of the page's figures have in common.
    pub(super) fn new(currency: &str, zone: Tz, open: bool) -> anyhow::Result<Self> {
        let files = FILES.map(|(name, kind, bytes)| (name, Asset::new(kind, bytes.to_vec())));
        let files = BTreeMap::from(files);
        let fill = |page: &str| -> anyhow::Result<String> {
            let mut page = page
                .replace("{{currency}}", currency)
                .replace("{{time-zone}}", zone.name())
                .replace("{{open}}", if open { "true" } else { "false" });
            for (name, asset) in &files {
                page = page.replace(
                    &format!("/assets/{name}\""),
                    &format!("/assets/{name}?v={}\"", asset.version),
                );
            }
            ensure!(
                !page.replace("{{why}}", "").contains("{{"),
                "a page has a gap that is not filled"
            );
            Ok(page)
        };
        let index = Asset::new("text/html; charset=utf-8", fill(INDEX)?.into_bytes());
        Ok(Self { index, login: fill(LOGIN)?, files })
    }

    pub(super) fn find(&self, name: &str) -> Option<&Asset> {
        self.files.get(name)
    }

    /// The form that asks for a token; `why` is a text of ours.
    pub(super) fn login(&self, why: &str) -> Response {
        Html(self.login.replace("{{why}}", why)).into_response()
    }
}

impl Asset {
    fn new(kind: &'static str, plain: Vec<u8>) -> Self {
        let digest = Sha256::digest(&plain);
        let version = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        let gzipped = gzip(&plain).unwrap_or_else(|| plain.clone());
        Self { kind, plain: plain.into(), gzipped: gzipped.into(), version }
    }

    /// For ever, if it was asked for by its version; else the browser asks each time whether it is still the same.
    pub(super) fn answer(&self, headers: &HeaderMap, wanted: Option<&Wanted>) -> Response {
        let by_version = wanted.is_some_and(|wanted| wanted.v.as_ref() == Some(&self.version));
        let keep = if by_version { "public, max-age=31536000, immutable" } else { "no-cache" };
        let has = |name, text: &str| {
            headers
                .get(name)
                .and_then(|value| value.to_str().ok())
                .is_some_and(|value| value.contains(text))
        };
        let etag = format!("\"{}\"", self.version);
        let common = [
            (CACHE_CONTROL, keep.to_owned()),
            (ETAG, etag.clone()),
            (VARY, "accept-encoding".to_owned()),
        ];
        if has(IF_NONE_MATCH, &etag) {
            return (StatusCode::NOT_MODIFIED, common).into_response();
        }
        let kind = [(CONTENT_TYPE, self.kind)];
        if has(ACCEPT_ENCODING, "gzip") {
            (common, kind, [(CONTENT_ENCODING, "gzip")], self.gzipped.clone()).into_response()
        } else {
            (common, kind, self.plain.clone()).into_response()
        }
    }
}

fn gzip(plain: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(plain).ok()?;
    encoder.finish().ok()
}
