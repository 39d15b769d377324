//! A page, and what a person or a script does in it.

use std::{sync::Arc, time::Duration};

use data_encoding::BASE64;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{super::plan::Trouble, pipe::Pipe};

const PATIENCE: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(40);

/// A page in a browser profile of its own. Closed with its profile when dropped.
pub(in super::super) struct Page {
    pipe: Arc<Pipe>,
    context: String,
    session: String,
}

impl Page {
    pub(super) async fn open_in(pipe: &Arc<Pipe>) -> Result<Self, Trouble> {
        let context = pipe.ask(None, "Target.createBrowserContext", json!({})).await?;
        let context = context["browserContextId"].as_str().ok_or("no browser context")?.to_owned();
        let session = attach(pipe, &context).await?;
        Ok(Self { pipe: Arc::clone(pipe), context, session })
    }

    /// Another page of the same profile: another tab.
    pub(in super::super) async fn tab(&self) -> Result<Tab, Trouble> {
        Ok(Tab { pipe: Arc::clone(&self.pipe), session: attach(&self.pipe, &self.context).await? })
    }

    /// Goes to an address, and waits until the page is there.
    pub(in super::super) async fn open(&self, url: &str) -> Result<(), Trouble> {
        self.front().open(url).await
    }

    /// Runs script that leads to another page, and waits until that is there.
    pub(in super::super) async fn leave_by(&self, script: &str) -> Result<(), Trouble> {
        let page = self.front();
        page.run("window.stays = true").await?;
        page.run(script).await?;
        page.until(
            "window.stays === undefined && document.readyState === 'complete' && location.href !== 'about:blank'",
        )
        .await
        .map(|_| ())
    }

    /// Runs script, waits for what it promises, and says what came of it.
    pub(in super::super) async fn run(&self, script: &str) -> Result<Value, Trouble> {
        self.front().run(script).await
    }

    /// Waits until an expression is true, and says what it is then; of text, any is true.
    pub(in super::super) async fn until(&self, expression: &str) -> Result<String, Trouble> {
        self.front().until(expression).await
    }

    /// Where it is.
    pub(in super::super) async fn url(&self) -> Result<String, Trouble> {
        Ok(self.run("location.href").await?.as_str().unwrap_or_default().to_owned())
    }

    /// What can be read on it.
    pub(in super::super) async fn text(&self) -> Result<String, Trouble> {
        Ok(self.run("document.body.innerText").await?.as_str().unwrap_or_default().to_owned())
    }

    /// Goes back, and waits until that page is there.
    pub(in super::super) async fn back(&self) -> Result<(), Trouble> {
        let history = self.pipe.ask(Some(&self.session), "Page.getNavigationHistory", json!({})).await?;
        let at = history["currentIndex"].as_u64().and_then(|at| usize::try_from(at).ok()).unwrap_or_default();
        let Some(before) = at.checked_sub(1).map(|before| &history["entries"][before]) else { return Ok(()) };
        let params = json!({ "entryId": before["id"] });
        self.pipe.ask(Some(&self.session), "Page.navigateToHistoryEntry", params).await?;
        sleep(PAUSE * 5).await;
        self.until("document.readyState === 'complete'").await.map(|_| ())
    }

    /// Takes the network away.
    pub(in super::super) async fn offline(&self) -> Result<(), Trouble> {
        let params = json!({ "offline": true, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1 });
        self.pipe.ask(Some(&self.session), "Network.enable", json!({})).await?;
        self.pipe.ask(Some(&self.session), "Network.emulateNetworkConditions", params).await.map(|_| ())
    }

    /// The addresses in its history.
    pub(in super::super) async fn history(&self) -> Result<Vec<String>, Trouble> {
        let history = self.pipe.ask(Some(&self.session), "Page.getNavigationHistory", json!({})).await?;
        let entries = history["entries"].as_array().cloned().unwrap_or_default();
        Ok(entries.iter().filter_map(|entry| entry["url"].as_str().map(str::to_owned)).collect())
    }

    /// The cookies of this profile: name and value.
    pub(in super::super) async fn cookies(&self) -> Result<Vec<(String, String)>, Trouble> {
        let params = json!({ "browserContextId": self.context });
        let cookies = self.pipe.ask(None, "Storage.getCookies", params).await?;
        let read = |cookie: &Value, name: &str| cookie[name].as_str().unwrap_or_default().to_owned();
        let all = cookies["cookies"].as_array().cloned().unwrap_or_default();
        Ok(all.iter().map(|cookie| (read(cookie, "name"), read(cookie, "value"))).collect())
    }

    /// Clicks at a place, as a person's mouse does.
    pub(in super::super) async fn click(&self, x: f64, y: f64) -> Result<(), Trouble> {
        for kind in ["mouseMoved", "mousePressed", "mouseReleased"] {
            let params = json!({ "type": kind, "x": x, "y": y, "button": "left", "clickCount": 1 });
            self.pipe.ask(Some(&self.session), "Input.dispatchMouseEvent", params).await?;
        }
        Ok(())
    }

    /// What it looks like: PNG.
    pub(in super::super) async fn screenshot(&self) -> Result<Vec<u8>, Trouble> {
        let clip = json!({ "x": 0, "y": 0, "width": 800, "height": 500, "scale": 0.5 });
        let shot = self
            .pipe
            .ask(Some(&self.session), "Page.captureScreenshot", json!({ "format": "png", "clip": clip }))
            .await?;
        Ok(BASE64.decode(shot["data"].as_str().unwrap_or_default().as_bytes())?)
    }

    /// The page as a tab.
    pub(in super::super) fn front(&self) -> Tab {
        Tab { pipe: Arc::clone(&self.pipe), session: self.session.clone() }
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        let (pipe, context) = (Arc::clone(&self.pipe), std::mem::take(&mut self.context));
        tokio::spawn(async move {
            // The browser may have ended before.
            let _ = pipe.ask(None, "Target.disposeBrowserContext", json!({ "browserContextId": context })).await;
        });
    }
}

/// One tab.
pub(in super::super) struct Tab {
    pipe: Arc<Pipe>,
    session: String,
}

impl Tab {
    /// Goes to an address, and waits until the page is there.
    pub(in super::super) async fn open(&self, url: &str) -> Result<(), Trouble> {
        let went = self.pipe.ask(Some(&self.session), "Page.navigate", json!({ "url": url })).await?;
        if let Some(error) = went["errorText"].as_str().filter(|error| !error.is_empty()) {
            return Err(format!("{url}: {error}").into());
        }
        self.until("document.readyState === 'complete'").await.map(|_| ())
    }

    /// Runs script that leads to another page, and waits until that is there.
    pub(in super::super) async fn leave_by(&self, script: &str) -> Result<(), Trouble> {
        self.run("window.stays = true").await?;
        self.run(script).await?;
        self.until("window.stays === undefined && document.readyState === 'complete'").await.map(|_| ())
    }

    pub(in super::super) async fn run(&self, script: &str) -> Result<Value, Trouble> {
        let params = json!({ "expression": script, "awaitPromise": true, "returnByValue": true, "userGesture": true });
        let mut done = self.pipe.ask(Some(&self.session), "Runtime.evaluate", params).await?;
        match done["exceptionDetails"]["exception"]["description"].as_str() {
            Some(error) => Err(format!("script: {error}").into()),
            None => Ok(done["result"]["value"].take()),
        }
    }

    pub(in super::super) async fn until(&self, expression: &str) -> Result<String, Trouble> {
        let began = Instant::now();
        loop {
            // Between two pages there is nothing to run script in.
            let value = self.run(expression).await.unwrap_or_default();
            match value {
                Value::Bool(true) => return Ok("true".to_owned()),
                Value::String(text) if !text.is_empty() => return Ok(text),
                _ if began.elapsed() > PATIENCE => {
                    let at = self.run("location.href").await.unwrap_or_default();
                    return Err(format!("at {at}: in {} s not so: {expression}", PATIENCE.as_secs()).into());
                }
                _ => sleep(PAUSE).await,
            }
        }
    }
}

async fn attach(pipe: &Pipe, context: &str) -> Result<String, Trouble> {
    let params = json!({ "url": "about:blank", "browserContextId": context });
    let target = pipe.ask(None, "Target.createTarget", params).await?;
    let attached = json!({ "targetId": target["targetId"], "flatten": true });
    let session = pipe.ask(None, "Target.attachToTarget", attached).await?;
    Ok(session["sessionId"].as_str().ok_or("no session")?.to_owned())
}
