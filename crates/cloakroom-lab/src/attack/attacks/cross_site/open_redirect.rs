//! A sign-in that leads on to a stranger.

use url::Url;

use crate::attack::{
    http::Request,
    plan::{Attack, Expected, Found, Needs, Tried},
    stage::Stage,
};

pub(in crate::attack) const ATTACK: Attack = Attack {
    id: "open-redirect",
    title: "A sign-in that leads on to a stranger",
    has: "a link to the real sign-in page, with an address of his own to go on to",
    does: "sends it to the victim, who signs in at the right place",
    gains: "the victim on a page of the attacker's that asks for the password 'once more'",
    source: "OWASP Unvalidated Redirects Cheat Sheet; CWE-601; CVE-2019-13038; F025, F134",
    expected: Expected::EVERYWHERE,
    needs: Needs::Requests,
    run: |stage| Box::pin(run(stage)),
};

async fn run(stage: &Stage) -> Tried {
    let owner = stage.person("owner");
    stage.target.sign_up(&owner).await?;
    let own = Url::parse(&stage.target.site.url("/signin"))?;
    let mut tried = 0;
    for address in ADDRESSES {
        let form = form_urlencoded::Serializer::new(String::new())
            .extend_pairs([("email", &*owner.email), ("password", &*owner.password), ("return_to", address)])
            .finish();
        let request = Request::post(format!("/signin?app={}", stage.target.app))
            .body("application/x-www-form-urlencoded", form)
            .header("origin", stage.target.site.origin())
            .from(owner.at);
        let answer = stage.target.send(request).await?;
        if answer.status / 100 != 3 {
            return Err(format!("the sign-in with {address} was answered {}", answer.said()).into());
        }
        // As a browser reads it.
        let to = own.join(answer.header("location"))?;
        if to.origin() != own.origin() {
            return Ok(Found::Worked(format!("{address} leads to {to}")));
        }
        tried += 1;
    }
    Ok(Found::Refused(format!("{tried} spellings, all of which lead to the server's own pages")))
}

const ADDRESSES: [&str; 12] = [
    "https://evil.test/",
    "//evil.test/",
    "/\\evil.test/",
    "\\\\evil.test/",
    "https:evil.test",
    "/%09/evil.test/",
    "/\t/evil.test/",
    "https://shop.test@evil.test/",
    "https://shop.test.evil.test/",
    "///evil.test/",
    "javascript:location='https://evil.test/'",
    "data:text/html,<script>location='https://evil.test/'</script>",
];
