//! Names that are almost the name of the cookie.

use crate::attack::{
    plan::{Attack, Expected, Found, Needs, Tried},
    stage::Stage,
};

pub(in crate::attack) const ATTACK: Attack = Attack {
    id: "prefix-bypass",
    title: "Names that are almost the name of the cookie",
    has: "a subdomain from which he can set cookies, though none that begin with __Host-",
    does: "plants one whose name the server might take for it: with white space of Unicode, quotes, or $Version before it",
    gains: "the victim in a session of the attacker's",
    source: "RFC 6265bis section 5.7; F014",
    expected: Expected::EVERYWHERE.not_careless_jwt("its client holds no cookie"),
    needs: Needs::Requests,
    run: |stage| Box::pin(run(stage)),
};

async fn run(stage: &Stage) -> Tried {
    let mallory = stage.person("mallory");
    stage.target.sign_up(&mallory).await?;
    let held = stage.target.sign_in_by_cookie(&mallory, None).await?;
    let (name, value) = held.cookies.first().ok_or("no cookie was given")?;
    let plain = name.trim_start_matches("__Host-");
    let mut forms = vec![
        format!("\u{2000}{name}={value}").into_bytes(),
        format!("\u{a0}{name}={value}").into_bytes(),
        [&[0xa0][..], name.as_bytes(), b"=", value.as_bytes()].concat(),
        [&[0x85][..], name.as_bytes(), b"=", value.as_bytes()].concat(),
        format!("\"{name}\"={value}").into_bytes(),
        format!("$Version=1,{name}={value}").into_bytes(),
        format!("{}={value}", name.to_uppercase()).into_bytes(),
        format!("a=\"b; {name}={value}\"").into_bytes(),
    ];
    if plain != name {
        forms.push(format!("{plain}={value}").into_bytes());
        forms.push(format!("__Secure-{plain}={value}").into_bytes());
        forms.push(format!("__host-{plain}={value}").into_bytes());
    }
    for form in &forms {
        if stage.target.account_by_cookies(form).await?.is_some() {
            return Ok(Found::Worked(format!(
                "{:?} is taken for {name}",
                String::from_utf8_lossy(&form[..form.len().min(24)])
            )));
        }
    }
    Ok(Found::Refused(format!("{} names that are almost {name}, none of which is it", forms.len())))
}
