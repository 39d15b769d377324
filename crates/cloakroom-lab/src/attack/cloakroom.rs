//! Cloakroom as it is attacked: this program's own `serve`, in a process of its own, on a throw-away directory.

use std::{
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::Duration,
};

use cloakroom_core::{clock::Clock, key::KeyRing, method::Method, random::Rng, token::Algorithm};
use cloakroom_server::{
    assemble,
    config::{Config, Sources},
};
use tempfile::TempDir;
use tokio::{
    process::{Child, Command},
    time::{Instant, sleep},
};

use super::{
    http::{Http, Request, Site},
    plan::Trouble,
    target::{Kind, Lasting, Signer, Target},
    tls::Authority,
};

/// The apps, each with its method.
const APPS: [(&str, Method); 4] =
    [("web", Method::Session), ("api", Method::Jwt), ("edge", Method::Phantom), ("stateless", Method::JwtStateless)];
/// Long enough for a page to be looked at, short enough to be waited for.
const LASTING: Lasting =
    Lasting { lag: Duration::from_secs(1), lifetime: Duration::from_secs(10), grace: Duration::from_secs(1) };
/// What the server is called: a sibling of the shop's other names.
const HOST: &str = "id.shop.test";
const PATIENCE: Duration = Duration::from_secs(60);

/// A server that runs.
pub(super) struct Cloakroom {
    // Ends with it.
    _child: Child,
    dir: TempDir,
    program: PathBuf,
    site: Site,
    signer: Signer,
}

impl Cloakroom {
    /// Starts one whose apps have their pages at `pages`.
    pub(super) async fn start(program: &Path, authority: &Authority, pages: &str) -> Result<Self, Trouble> {
        let dir = TempDir::new()?;
        let address = free_address()?;
        let site = Site { https: true, host: HOST.to_owned(), address, base: String::new() };
        let file = dir.path().join("cloakroom.toml");
        fs::write(dir.path().join("certificate.pem"), &authority.certificate)?;
        fs::write(dir.path().join("key.pem"), &authority.key)?;
        fs::write(&file, configuration(dir.path(), &site, pages))?;
        let signer = signer(&file).await?;
        let log = fs::File::create(dir.path().join("log"))?;
        let child = command(program)
            .args(["serve", "--json", "--config"])
            .arg(&file)
            .env("CLOAKROOM_LOG", "debug")
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()?;
        let server = Self { _child: child, dir, program: program.to_owned(), site, signer };
        server.ready(&Http::new(Arc::clone(&authority.client))).await?;
        Ok(server)
    }

    async fn ready(&self, http: &Http) -> Result<(), Trouble> {
        let began = Instant::now();
        loop {
            match http.send(&self.site, Request::get("/readyz")).await {
                Ok(answer) if answer.status == 200 => return Ok(()),
                _ if began.elapsed() > PATIENCE => {
                    return Err(format!("the server does not start: {}", self.log()?.trim_end()).into());
                }
                _ => sleep(Duration::from_millis(50)).await,
            }
        }
    }

    /// Its apps as targets.
    pub(super) fn targets(&self, http: &Http) -> Vec<Target> {
        let target = |(app, method): &(&str, Method)| {
            let kind = Kind::Cloakroom(*method);
            Target {
                kind,
                site: self.site.clone(),
                http: http.clone(),
                app: (*app).to_owned(),
                token_app: if kind.has_tokens() { *app } else { "api" }.to_owned(),
                lasting: LASTING,
                signer: Some(Arc::clone(&self.signer)),
            }
        };
        APPS.iter().map(target).collect()
    }

    /// What it has logged.
    pub(super) fn log(&self) -> io::Result<String> {
        Ok(String::from_utf8_lossy(&fs::read(self.dir.path().join("log"))?).into_owned())
    }

    /// Does what an operator does: `cloakroom ARGUMENTS`.
    pub(super) async fn operate(&self, arguments: &[&str]) -> Result<String, Trouble> {
        let config = self.dir.path().join("cloakroom.toml");
        let output = command(&self.program).args(arguments).arg("--json").arg("--config").arg(config).output().await?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

/// The server whose address a URL is, which runs already.
pub(super) fn running(site: &Site, http: &Http) -> Vec<Target> {
    let lasting =
        Lasting { lag: Duration::from_secs(2), lifetime: Duration::from_secs(300), grace: Duration::from_secs(30) };
    let target = |(app, method): &(&str, Method)| {
        let kind = Kind::Cloakroom(*method);
        let token_app = if kind.has_tokens() { *app } else { "api" }.to_owned();
        Target {
            kind,
            site: site.clone(),
            http: http.clone(),
            app: (*app).to_owned(),
            token_app,
            lasting,
            signer: None,
        }
    };
    APPS.iter().map(target).collect()
}

/// This program, without the settings of whoever runs it.
fn command(program: &Path) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("CLOAKROOM_") {
            command.env_remove(name);
        }
    }
    command.stdin(Stdio::null()).kill_on_drop(true);
    command
}

fn configuration(dir: &Path, site: &Site, pages: &str) -> String {
    let (lag, lifetime, grace) = (LASTING.lag.as_secs(), LASTING.lifetime.as_secs(), LASTING.grace.as_secs());
    let own = site.origin();
    let file = |name: &str| dir.join(name).display().to_string();
    let (data, certificate, key) = (file("data"), file("certificate.pem"), file("key.pem"));
    let head = format!(
        "listen = \"{}\"\npublic_url = \"{own}\"\ndata_dir = \"{data}\"\n\
         [tls]\ncertificate = \"{certificate}\"\nkey = \"{key}\"\n\
         [password]\nmemory_kib = 19456\npasses = 2\nthreads = 2\n",
        site.address,
    );
    let apps = APPS.iter().map(|(app, method)| {
        format!(
            "[[app]]\nid = \"{app}\"\nmethod = \"{}\"\norigins = [\"{own}\", \"{pages}\"]\n\
             access_token_lifetime = \"{lifetime}s\"\nrefresh_grace = \"{grace}s\"\nmax_revocation_lag = \"{lag}s\"\n",
            method.properties().name
        )
    });
    head + &apps.collect::<Vec<_>>().concat()
}

/// Makes the keys as the server would, and takes the one that signs: what it seals is as good as the server's own, so that a
/// refusal of it has no other reason than what is wrong with it.
async fn signer(file: &Path) -> Result<Signer, Trouble> {
    let config = Config::load(Sources::new().file(file)).map_err(|errors| errors.to_string())?;
    let (clock, rng) = (Clock::system(), Rng::system());
    // Boxed: what it can open is much for one future to hold.
    let engine = Box::pin(assemble::open(&config, clock.clone(), rng.clone())).await?;
    let (master, _) = config.master_secret(&rng)?;
    let keys = engine.stores().accounts.keys().await?;
    let ring = KeyRing::open(keys.rows, &master)?;
    Ok(Arc::new(move |bytes| ring.signer(Algorithm::EdDsa, clock.now())?.1.sign(bytes).ok()))
}

fn free_address() -> io::Result<SocketAddr> {
    std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()
}
