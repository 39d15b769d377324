//! What the world sees: settings for proxies that fit together, and a server that answers where it says.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener},
    time::Duration,
};

use cloakroom_core::tasks;
use cloakroom_server::config::Config;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::{Request, StatusCode, body::Bytes, client::conn::http1};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, time::timeout};

use super::{Finding, Server};

pub(super) async fn look(config: &Config, server: &Server) -> Vec<Finding> {
    let mut findings = proxies(config);
    findings.push(match server {
        Server::Runs(status) => match status["listen"].as_str().and_then(|address| address.parse().ok()) {
            Some(address) => answers(config, address).await,
            None => Finding::warn("answers", "the server does not say where it listens", "is it of another release?"),
        },
        Server::Mute(error) => {
            Finding::fail("socket", error.clone(), "look into the server's log; restart it if it hangs")
        }
        Server::None => free_to_listen(config.listen),
    });
    findings
}

fn proxies(config: &Config) -> Vec<Finding> {
    const CHECK: &str = "proxy";
    let behind = config.proxy_ends_tls || (config.is_https() && config.tls.is_none());
    let mut findings = vec![];
    if behind && config.trusted_proxies.is_empty() {
        findings.push(Finding::warn(
            CHECK,
            "a proxy ends TLS, but no proxy is trusted: every client seems to come from the proxy's address, and one that guesses \
             passwords gets all of them limited",
            "name the proxy in trusted_proxies, as [\"127.0.0.1\", \"::1\"], and let it set X-Forwarded-For",
        ));
    }
    if behind && !config.listen.ip().is_loopback() {
        findings.push(Finding::warn(
            CHECK,
            format!("a proxy ends TLS, but the server can be reached past it, in the clear, at {}", config.listen),
            "listen on 127.0.0.1, or let a firewall admit only the proxy",
        ));
    }
    if !behind && !config.trusted_proxies.is_empty() && config.listen.ip().is_loopback() && !config.is_https() {
        findings.push(Finding::warn(
            CHECK,
            "proxies are trusted, but public_url is http on loopback, which no proxy's clients can use",
            "set public_url to the https address of the proxy, or leave trusted_proxies out",
        ));
    }
    if findings.is_empty() {
        findings.push(Finding::ok(
            CHECK,
            if behind { "the settings for proxies fit together" } else { "no proxy is expected" },
        ));
    }
    findings
}

async fn answers(config: &Config, listen: SocketAddr) -> Finding {
    const CHECK: &str = "answers";
    const PATIENCE: Duration = Duration::from_secs(5);
    let address = SocketAddr::new(reachable(listen.ip()), listen.port());
    let path = format!("{}/readyz", config.base_path);
    let remedy = "look into the server's log; restart it if it hangs";
    let asked = async {
        let stream = TcpStream::connect(address).await?;
        // What goes over TLS is the certificate's check to judge.
        if config.tls.is_some() { Ok(None) } else { ready(stream, &path).await.map(Some) }
    };
    match timeout(PATIENCE, asked).await {
        Ok(Ok(None)) => Finding::ok(CHECK, format!("the server accepts connections on {address}")),
        Ok(Ok(Some((StatusCode::OK, troubles)))) if troubles.is_empty() => {
            Finding::ok(CHECK, format!("the server on {address} is ready"))
        }
        Ok(Ok(Some((StatusCode::OK, troubles)))) => {
            let text = format!("the server on {address} is ready, but lacks something: {troubles}");
            Finding::warn(CHECK, text, "look into the server's log")
        }
        Ok(Ok(Some((status, troubles)))) => {
            Finding::fail(CHECK, format!("the server on {address} answers {path} with {status}: {troubles}"), remedy)
        }
        Ok(Err(error)) => Finding::fail(CHECK, format!("the server on {address} does not answer: {error}"), remedy),
        Err(_) => Finding::fail(
            CHECK,
            format!("the server on {address} does not answer within {} s", PATIENCE.as_secs()),
            remedy,
        ),
    }
}

/// The status, and what the body says beside it.
async fn ready(stream: TcpStream, path: &str) -> io::Result<(StatusCode, String)> {
    const LONGEST: usize = 64 * 1024;
    let (mut requests, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    let connection = tasks::once("answers", connection);
    let request = Request::get(path).header(http::header::HOST, "localhost").body(Empty::<Bytes>::new());
    let asked = async {
        let answer = requests.send_request(request.map_err(io::Error::other)?).await.map_err(io::Error::other)?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), LONGEST).collect().await.map_err(io::Error::other)?.to_bytes();
        let text = String::from_utf8_lossy(&body);
        Ok((status, text.lines().skip(1).collect::<Vec<_>>().join("; ")))
    };
    let answer = asked.await;
    connection.abort();
    answer
}

/// Where one's own machine reaches a listener on all addresses.
fn reachable(listen: IpAddr) -> IpAddr {
    match listen {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    }
}

fn free_to_listen(listen: SocketAddr) -> Finding {
    const CHECK: &str = "answers";
    match TcpListener::bind(listen) {
        Ok(_) => Finding::ok(CHECK, format!("no server runs; it could listen on {listen}")),
        Err(error) => Finding::fail(
            CHECK,
            format!("no server runs on this data directory, and none could listen on {listen}: {error}"),
            "stop what listens there, or set listen to another address",
        ),
    }
}
