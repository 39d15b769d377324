//! A WebSocket (RFC 6455) that tells whoever opens it who is signed in; which page opened it is not asked.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use axum::{
    extract::{Request, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use data_encoding::BASE64;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWriteExt;

use super::Login;

/// `/live`. Only cookies come with it: a page cannot send a header along.
pub(super) async fn listen(State(login): State<Arc<Login>>, mut request: Request) -> Response {
    let key = request.headers().get("sec-websocket-key").map(|key| key.as_bytes().to_vec());
    let Some(key) = key else { return StatusCode::BAD_REQUEST.into_response() };
    let cookies = request.headers().get(header::COOKIE).and_then(|line| line.to_str().ok()).unwrap_or_default();
    let session = cookies.split("; ").find_map(|pair| pair.strip_prefix("sid="));
    let who = session.and_then(|session| login.people.of(session)).unwrap_or_else(|| "nobody".to_owned());
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let Ok(upgraded) = upgrade.await else { return };
        let mut stream = TokioIo::new(upgraded);
        let mut frame = vec![0x81, who.len().min(125) as u8];
        frame.extend(who.bytes().take(125));
        // Who hangs up has hung up.
        let _ = stream.write_all(&frame).await;
        let _ = stream.flush().await;
        tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    });
    let accept = [key.as_slice(), b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"].concat();
    let accept = BASE64.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, &accept).as_ref());
    let headers =
        [("connection", "upgrade".to_owned()), ("upgrade", "websocket".to_owned()), ("sec-websocket-accept", accept)];
    (StatusCode::SWITCHING_PROTOCOLS, headers).into_response()
}
