//! The same wrong password at an account that exists, and at one that does not.

use crate::attack::{http::Answer, plan::Trouble, stage::Stage, target::Person};

pub(super) async fn both(stage: &Stage) -> Result<(Answer, Answer), Trouble> {
    let known = stage.person("known");
    stage.target.sign_up(&known).await?;
    let mut answers = Vec::new();
    for person in [known, stage.person("unknown")] {
        let elsewhere = Person { at: stage.address(), ..person };
        answers.push(stage.target.try_sign_in(&elsewhere, "not the right one 55", &stage.target.app).await?);
    }
    match (answers.pop(), answers.pop()) {
        (Some(unknown), Some(known)) => Ok((known, unknown)),
        _ => Err("there were no answers".into()),
    }
}
