//! Bytes of a request, by method, as HTTP/1.1 and HTTP/2 send it.

use std::io;

use crate::compare::{
    Comparison, WirePage,
    report::{
        chart::{Bar, BarGroup, Bars, Scale},
        document::{Figure, Line},
        numbers::{bytes, number},
        words::Words,
    },
};

/// What is counted: by HTTP/1.1, by HTTP/2 on a new connection, on one that has seen the credential, and by a client that lets HPACK
/// remember no credentials.
const WAYS: [&str; 4] = ["wire-http1", "wire-http2-cold", "wire-http2-warm", "wire-http2-unindexed"];

fn whole(page: &WirePage) -> [u64; 4] {
    let request = page.request;
    let [cold, unindexed] = [page.request_bytes_http2_cold, page.request_bytes_http2_unindexed];
    [request.request_bytes_http1, cold, request.request_bytes_http2, unindexed]
}

/// The same without any credential.
fn bare(page: &WirePage) -> [u64; 4] {
    let [http1, cold, warm] = page.bare;
    [http1, cold, warm, warm]
}

pub(super) fn figure(comparison: &Comparison, words: Words) -> io::Result<Option<Figure>> {
    let pages = &comparison.wire;
    let [Some(least), Some(most)] = ends(pages) else { return Ok(None) };
    let group = |(place, way): (usize, &str)| BarGroup {
        title: words.say(way),
        bars: pages.iter().map(|page| bar(page, whole(page)[place])).collect(),
        bound: Some((
            bare(&pages[0])[place] as f64,
            words.with("wire-bare", [("bytes", &bytes(bare(&pages[0])[place] as f64))]),
        )),
    };
    let bars = Bars {
        axis: words.say("wire-axis"),
        scale: Scale::Linear,
        mark: Box::new(number),
        groups: WAYS.into_iter().enumerate().map(group).collect(),
    };
    let heads =
        words.all(["column-method", "wire-http1", "wire-http2-cold", "wire-http2-warm", "wire-http2-unindexed"]);
    let line = |page: &WirePage| Line::new(page.method.name().to_owned(), whole(page).map(|count| bytes(count as f64)));
    let added = |page: &WirePage, place: usize| bytes(whole(page)[place].saturating_sub(bare(page)[place]) as f64);
    let sentence = words.with(
        "wire-sentence",
        [
            ("least", least.method.name()),
            ("most", most.method.name()),
            ("from", &added(least, 0)),
            ("to", &added(most, 0)),
            ("fromwarm", &added(least, 2)),
            ("towarm", &added(most, 2)),
        ],
    );
    let table = (heads, pages.iter().map(line).collect());
    Ok(Some(super::figure("figure-wire", words.say("wire-title"), sentence, bars.draw()?, table)))
}

fn ends(pages: &[WirePage]) -> [Option<&WirePage>; 2] {
    let by_http1 = |page: &&WirePage| page.request.request_bytes_http1;
    [pages.iter().min_by_key(by_http1), pages.iter().max_by_key(by_http1)]
}

fn bar(page: &WirePage, count: u64) -> Bar {
    Bar {
        method: page.method,
        name: page.method.name().to_owned(),
        value: count as f64,
        interval: None,
        label: bytes(count as f64),
    }
}
