//! Somebody who is signed in, and visits another page in the same browser.

use crate::attack::{
    browser::Page,
    plan::{Found, Tried, Trouble},
    stage::Stage,
    target::Person,
};

/// The password that the attacker would have.
pub(super) const NEW: &str = "taken over by mallory 77";

/// The victim.
pub(super) struct Victim {
    pub(super) person: Person,
    pub(super) page: Page,
}

impl Victim {
    /// Has an account, and has signed in by the page.
    pub(super) async fn new(stage: &Stage) -> Result<Self, Trouble> {
        let (person, page) = stage.visitor("victim").await?;
        let victim = Self { person, page };
        if stage.greeted(&victim.page).await? != victim.person.email {
            return Err("the victim is not signed in to begin with".into());
        }
        Ok(victim)
    }

    /// Visits a page that sends a form by itself, and waits until what was answered is there.
    pub(super) async fn is_led_on_by(&self, url: &str) -> Result<(), Trouble> {
        self.page.open(url).await?;
        let gone = "!['evil.test', 'blog.shop.test'].includes(location.hostname) && document.readyState === 'complete'";
        self.page.until(gone).await.map(|_| ())
    }

    /// Visits pages of a host that send forms by themselves, one for each address that changes something.
    pub(super) async fn is_sent_forms_from(&self, stage: &Stage, host: &str) -> Result<(), Trouble> {
        for action in actions(stage) {
            let fields = fields();
            let html = format!("<form id=f method=post action=\"{action}\">{fields}</form><script>f.submit()</script>");
            self.is_led_on_by(&stage.lab.places.publish(host, html)).await?;
        }
        Ok(())
    }

    /// Visits a page whose script says in its title when it is done.
    pub(super) async fn stays_at(&self, url: &str) -> Result<(), Trouble> {
        self.page.open(url).await?;
        self.page.until("document.title === 'done'").await.map(|_| ())
    }

    /// What the visits have come to: another password, or another session, or nothing.
    pub(super) async fn found(&self, stage: &Stage, what: &str) -> Tried {
        if stage.target.try_sign_in(&self.person, NEW, &stage.target.app).await?.is_ok() {
            return Ok(Found::Worked(format!("{what} has changed the password")));
        }
        if !stage.target.try_sign_in(&self.person, &self.person.password, &stage.target.app).await?.is_ok() {
            return Ok(Found::Worked(format!("{what} has changed the account")));
        }
        let greeted = stage.greeted(&self.page).await?;
        stage.show(&self.page, "the victim's browser after the visit").await?;
        if greeted == self.person.email {
            Ok(Found::Refused(format!("{what}: the victim is signed in as before, with the same password")))
        } else {
            Ok(Found::Worked(format!("{what}: the victim is now {greeted}")))
        }
    }
}

/// Addresses that change something.
pub(super) fn actions(stage: &Stage) -> Vec<String> {
    let query = format!("?app={}&everywhere=true&new={}", stage.target.app, NEW.replace(' ', "+"));
    let paths: &[&str] = if stage.target.kind.is_careless() {
        &["/v1/password"]
    } else {
        &["/v1/logout", "/signout", "/devices/end-others", "/account/delete"]
    };
    paths.iter().map(|path| stage.target.site.url(&format!("{path}{query}"))).collect()
}

/// What a form of the attacker's sends.
fn fields() -> String {
    format!("<input name=everywhere value=true><input name=new value=\"{NEW}\">")
}
