//! The pages over HTTP, as a browser without script uses them: forms posted, redirects followed by hand.

mod account;
mod defence;
mod devices;
mod signing;

use crate::lab::{Answer, Browser, Lab, PASSWORD, email};

/// The pages that a person who is signed in can look at.
const PAGES: [&str; 5] = ["/signin", "/signup", "/devices", "/password", "/account/delete"];

/// Posts a form from the page that it stands on.
async fn post(browser: &Browser, path: &str, fields: &[(&str, &str)]) -> Answer {
    browser.send(browser.ask("POST", path).form(fields)).await
}

/// Signs in by the form.
async fn sign_in(browser: &Browser, name: &str, app: &str) -> Answer {
    let answer = post(browser, "/signin", &[("email", &email(name)), ("password", PASSWORD), ("app", app)]).await;
    assert_eq!(answer.status, 303, "{}", answer.text());
    answer
}

/// A browser of somebody who has an account and is signed in to an app.
async fn somebody(lab: &Lab, name: &str, app: &str) -> Browser {
    lab.register(name).await;
    let browser = lab.browser();
    sign_in(&browser, name, app).await;
    browser
}

fn location(answer: &Answer) -> &str {
    answer.header("location").expect("a redirect")
}

/// Where the page's form would go, and the value of a field of it.
fn value_of<'h>(html: &'h str, field: &str) -> Option<&'h str> {
    let input = html.split("<input ").find(|input| input.contains(&format!("name=\"{field}\"")))?;
    input.split('>').next()?.split("value=\"").nth(1)?.split('"').next()
}
