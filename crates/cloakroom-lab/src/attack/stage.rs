//! What an attack finds set up: one target, and around it the attacker's sites, addresses and browser.

use std::{
    net::Ipv4Addr,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::{
    browser::{Browser, Page, Tab},
    careless::Careless,
    cloakroom::Cloakroom,
    http::Answer,
    places::{Places, SHOP},
    plan::{Bound, Found, Trouble},
    target::{Held, Kind, Person, Target, encode, opened},
    tls::Authority,
};

/// All that is set up for a run.
pub(super) struct Lab {
    pub(super) program: PathBuf,
    pub(super) authority: Authority,
    pub(super) places: Places,
    pub(super) careless: Vec<Careless>,
    /// The server that was started; none where one that runs is attacked.
    pub(super) cloakroom: Option<Cloakroom>,
    pub(super) browser: Result<Browser, String>,
    pub(super) people: AtomicU32,
}

/// What an attack finds, for one target.
pub(super) struct Stage {
    pub(super) lab: Arc<Lab>,
    pub(super) target: Target,
    /// What the page showed.
    pub(super) shots: Mutex<Vec<Shot>>,
}

/// A picture of a page.
#[derive(Clone)]
pub(super) struct Shot {
    pub(super) caption: String,
    pub(super) png: Vec<u8>,
}

impl Stage {
    /// Another address of this machine: to whoever counts by network, another network.
    pub(super) fn address(&self) -> Ipv4Addr {
        const FIRST: u32 = 0x7f01_0001;
        Ipv4Addr::from(FIRST + self.lab.people.fetch_add(1, Ordering::Relaxed))
    }

    /// Somebody new.
    pub(super) fn person(&self, name: &str) -> Person {
        let at = self.address();
        let email = format!("{name}-{}@example.org", u32::from(at));
        Person { email, password: format!("{name} walks to the far harbour {}", u32::from(at) % 9973), at }
    }

    /// How long something may work here at most.
    pub(super) fn longest(&self, bound: Bound) -> Duration {
        self.target.lasting.longest(bound)
    }

    /// The same stage with another target.
    pub(super) fn on(&self, target: Target) -> Self {
        Self { lab: Arc::clone(&self.lab), target, shots: Mutex::default() }
    }

    /// Header and claims of a token of the attacker's own, made out to this app.
    pub(super) async fn base(&self) -> Result<(Value, Value), Trouble> {
        let mallory = self.person("mallory");
        self.target.sign_up(&mallory).await?;
        let (header, mut claims) = opened(&self.target.access_token(&mallory).await?)?;
        for name in ["aud", "client_id"] {
            claims[name] = self.target.app.clone().into();
        }
        Ok((header, claims))
    }

    /// The shop's page of this login, with something put through its hole.
    pub(super) fn home(&self, hole: &str) -> String {
        let hole = form_urlencoded::byte_serialize(hole.as_bytes()).collect::<String>();
        if self.target.kind.is_careless() {
            return self.target.site.url(&format!("/home?q={hole}"));
        }
        let tokens = if self.target.kind.has_tokens() { "&tokens=1" } else { "" };
        let (login, app) = (self.target.site.url(""), &self.target.app);
        self.lab.places.site(SHOP).url(&format!("/home?login={login}&app={app}{tokens}&q={hole}"))
    }

    /// A token of somebody with other contents, signed by the server's own key; nothing where that is not at hand.
    pub(super) async fn resealed(
        &self,
        person: &Person,
        change: impl FnOnce(&mut Value, &mut Value),
    ) -> Result<Option<String>, Trouble> {
        let (mut header, mut claims) = opened(&self.target.access_token(person).await?)?;
        claims["aud"] = self.target.app.clone().into();
        claims["client_id"] = self.target.app.clone().into();
        change(&mut header, &mut claims);
        Ok(self.target.sealed(&header.to_string(), &claims.to_string()))
    }

    /// Tries a token that is signed well and wrong otherwise. The same token without the wrong must be accepted where clients
    /// hold tokens, or nothing was shown.
    pub(super) async fn try_resealed(
        &self,
        wrong: impl FnOnce(&mut Value, &mut Value),
        what: &str,
    ) -> Result<Found, Trouble> {
        let person = self.person("tess");
        self.target.sign_up(&person).await?;
        let Some(forged) = self.resealed(&person, wrong).await? else { return Ok(no_key()) };
        if let Some(trouble) = self.control(&person).await? {
            return Err(trouble);
        }
        let answer = self.target.verify_token(&forged).await?;
        Ok(verdict(&answer, what))
    }

    async fn control(&self, person: &Person) -> Result<Option<Trouble>, Trouble> {
        if !self.target.kind.has_tokens() {
            return Ok(None);
        }
        let Some(good) = self.resealed(person, |_, _| {}).await? else { return Ok(None) };
        let answer = self.target.verify_token(&good).await?;
        Ok((!answer.is_ok()).then(|| format!("even the good token was answered {}", answer.said()).into()))
    }

    /// Tries forged tokens, none of which the server signed.
    pub(super) async fn try_tokens(&self, forged: &[(String, String)]) -> Result<Found, Trouble> {
        let mut said = Vec::new();
        for (what, token) in forged {
            let answer = self.target.verify_token(token).await?;
            if answer.is_ok() {
                return Ok(Found::Worked(format!("{what}: accepted ({})", answer.said())));
            }
            said.push(answer.said());
        }
        said.sort();
        said.dedup();
        Ok(Found::Refused(format!("{} forgeries, all refused: {}", forged.len(), said.join(", "))))
    }

    /// How long what was copied goes on being accepted, from now on. Stops looking a while after the longest that was declared.
    pub(super) async fn lasting(&self, copy: &Held, longest: Duration, what: &str) -> Result<Found, Trouble> {
        let began = Instant::now();
        let mut last = None;
        loop {
            let asked = began.elapsed();
            let answer = self.target.verify(copy).await?;
            if answer.is_ok() {
                last = Some(asked);
            } else if last.is_none_or(|last| asked > last + Duration::from_millis(300)) {
                return Ok(match last {
                    None => Found::Refused(format!("{what}: refused at once, {}", answer.said())),
                    Some(last) => Found::WorkedFor(
                        last,
                        format!("{what}: accepted for {:.1} s, then {}", last.as_secs_f64(), answer.said()),
                    ),
                });
            }
            if asked > longest + Duration::from_secs(1) {
                return Ok(Found::Worked(format!("{what}: still accepted after {:.1} s", asked.as_secs_f64())));
            }
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// A fresh page of a fresh browser profile.
    pub(super) async fn page(&self) -> Result<Page, Trouble> {
        match &self.lab.browser {
            Ok(browser) => browser.page().await,
            Err(why) => Err(why.as_str().into()),
        }
    }

    /// Keeps a picture of a page for the gallery.
    pub(super) async fn show(&self, page: &Page, caption: &str) -> Result<(), Trouble> {
        let png = page.screenshot().await?;
        self.shots.lock().push(Shot { caption: caption.to_owned(), png });
        Ok(())
    }

    /// Signs somebody in through the sign-in page.
    pub(super) async fn sign_in_by_page(&self, page: &Page, person: &Person) -> Result<(), Trouble> {
        page.open(&self.target.site.url(&format!("/signin?app={}", self.target.app))).await?;
        let fill = format!(
            "document.querySelector('[name=email]').value = {}; document.querySelector('[name=password]').value = {}; \
             document.querySelector('form').submit()",
            Value::from(person.email.as_str()),
            Value::from(person.password.as_str()),
        );
        page.leave_by(&fill).await?;
        let seen = page.url().await?;
        if seen.contains("/signin") { Err(format!("the sign-in ended at {seen}").into()) } else { Ok(()) }
    }

    /// Somebody who has signed in by the page.
    pub(super) async fn visitor(&self, name: &str) -> Result<(Person, Page), Trouble> {
        let person = self.person(name);
        self.target.sign_up(&person).await?;
        let page = self.page().await?;
        self.sign_in_by_page(&page, &person).await?;
        Ok((person, page))
    }

    /// Signs out by the page, as far as the login has one.
    pub(super) async fn sign_out_by_page(&self, tab: &Tab) -> Result<(), Trouble> {
        if self.target.kind.is_careless() {
            tab.open(&self.home("")).await?;
            return tab.run("fetch('/v1/logout', { method: 'POST' }).then(() => true)").await.map(|_| ());
        }
        tab.open(&self.target.site.url(&format!("/signout?app={}", self.target.app))).await?;
        tab.leave_by("document.querySelector('form[method=post]').submit()").await
    }

    /// A page of the login that says whose it is.
    pub(super) fn personal_page(&self) -> String {
        if self.target.kind.is_careless() {
            return self.home("");
        }
        self.target.site.url(&format!("/devices?app={}", self.target.app))
    }

    /// Everything in a browser that opens the account.
    pub(super) async fn credentials_of(&self, page: &Page) -> Result<Vec<String>, Trouble> {
        let stored = page.run("Object.values({ ...localStorage, ...sessionStorage })").await?;
        let stored = stored.as_array().cloned().unwrap_or_default();
        let stored = stored.iter().filter_map(|value| value.as_str().map(str::to_owned));
        let cookies = page.cookies().await?.into_iter().map(|(name, value)| {
            // A number alone is too short to be found by.
            if value.len() < 8 { format!("{name}={value}") } else { value }
        });
        let all = stored.chain(cookies).collect::<Vec<_>>();
        if all.is_empty() { Err("there is nothing in the browser that opens the account".into()) } else { Ok(all) }
    }

    /// Script that asks for the account as the shop's page does: an expression that is a function.
    pub(super) fn asking_script(&self) -> String {
        let (login, app) = (self.target.site.url(""), &self.target.app);
        let renewal = format!(
            "token = (await (await fetch('{login}/v1/refresh?app={app}', {{ method: 'POST', credentials: 'include' }})).json())\
             .access_token;"
        );
        let token = match self.target.kind {
            Kind::CarelessJwt => "token = localStorage.getItem('access_token');",
            kind if kind.has_tokens() => &renewal,
            _ => "",
        };
        format!(
            "async () => {{ let token; {token} \
             const headers = token ? {{ authorization: 'Bearer ' + token }} : {{}}; \
             const said = await (await fetch('{login}/v1/account?app={app}', {{ headers, credentials: 'include' }})).json(); \
             return said.account ? said.account.email : ''; }}"
        )
    }

    /// Fails where the page does not greet that person.
    pub(super) async fn greets(&self, page: &Page, person: &Person) -> Result<(), Trouble> {
        let who = page.until(GREETED).await?;
        if who == person.email { Ok(()) } else { Err(format!("the page greets {who}, not {}", person.email).into()) }
    }

    /// Whom the shop's page greets in this browser.
    pub(super) async fn greeted(&self, page: &Page) -> Result<String, Trouble> {
        // No cache has this address.
        let fresh = self.lab.people.fetch_add(1, Ordering::Relaxed);
        page.open(&format!("{}&fresh={fresh}", self.home(""))).await?;
        page.until(GREETED).await
    }
}

/// Whom the page greets, once it does.
const GREETED: &str = "(t => t && t !== '…' ? t : '')(document.querySelector('#who')?.textContent)";

/// What an answer to something forged means.
pub(super) fn verdict(answer: &Answer, what: &str) -> Found {
    if answer.is_ok() {
        Found::Worked(format!("{what}: accepted ({})", answer.said()))
    } else {
        Found::Refused(format!("{what}: {}", answer.said()))
    }
}

/// Where a token cannot be signed with the server's own key.
pub(super) fn no_key() -> Found {
    Found::NotHere("the signing key of a server that runs elsewhere is not at hand".to_owned())
}

/// A forged token's header and claims, and a signature of any kind.
pub(super) fn forged(header: &Value, claims: &Value, signature: impl AsRef<[u8]>) -> String {
    format!("{}.{}.{}", encode(header.to_string()), encode(claims.to_string()), encode(signature))
}
