//! The next session.

use data_encoding::BASE64URL_NOPAD;

use crate::attack::{
    plan::{Attack, Expected, Found, Needs, Tried},
    stage::Stage,
};

pub(in crate::attack) const ATTACK: Attack = Attack {
    id: "session-prediction",
    title: "The next session",
    has: "a few sessions of his own",
    does: "works out which one the next visitor gets",
    gains: "the sessions of others",
    source: "OWASP Session Management Cheat Sheet, Session ID Entropy; OWASP WSTG-SESS-01; NIST SP 800-22, frequency test",
    expected: Expected::EVERYWHERE.not_careless_jwt("its tokens are signed, however badly"),
    needs: Needs::Requests,
    run: |stage| Box::pin(run(stage)),
};

async fn run(stage: &Stage) -> Tried {
    const COUNT: usize = 32;
    let mallory = stage.person("mallory");
    stage.target.sign_up(&mallory).await?;
    let mut own = Vec::new();
    for _ in 0..COUNT {
        let held = stage.target.sign_in(&mallory).await?;
        own.push(held.refresh.clone().unwrap_or_else(|| held.credential()));
    }
    if let Some(last) = own.last().and_then(|last| last.parse::<u64>().ok()) {
        let victim = stage.person("victim");
        let held = stage.target.welcome(&victim).await?;
        let name = held.cookies.first().map_or("sid", |(name, _)| name.as_str());
        for number in last + 1..last + 100 {
            if stage.target.account_by_cookies(format!("{name}={number}")).await?.as_deref() == Some(&victim.email) {
                return Ok(Found::Worked(format!("after {last} came {number}, which is somebody else's")));
            }
        }
    }
    Ok(judged(&own))
}

/// How many bytes of a secret nobody guesses.
const SECRET: usize = 16;

/// Whether the bytes that differ from one to the next are spread as chance would have them.
fn judged(own: &[String]) -> Found {
    let bytes = own.iter().map(|text| BASE64URL_NOPAD.decode(text.as_bytes()).unwrap_or_default()).collect::<Vec<_>>();
    let length = bytes.iter().map(Vec::len).min().unwrap_or_default();
    // What is the same for all, or nearly so, is no secret: version, kind, account. Nor is what counts up, as a time does.
    let varied = (0..length).filter(|at| {
        let counts = bytes.windows(2).all(|two| two[1][*at].wrapping_sub(two[0][*at]) < 128);
        let mut seen = bytes.iter().map(|one| one[*at]).collect::<Vec<_>>();
        seen.sort_unstable();
        seen.dedup();
        !counts && seen.len() > own.len() / 2
    });
    // Behind the secret there may be a MAC, which looks random whatever it was made of.
    let varied = varied.take(SECRET).collect::<Vec<_>>();
    let bits = varied.len() * 8 * own.len();
    let ones = bytes.iter().flat_map(|one| varied.iter().map(|at| one[*at].count_ones())).sum::<u32>();
    let alike = bytes.windows(2).flat_map(|two| varied.iter().map(|at| (two[0][*at] ^ two[1][*at]).count_zeros()));
    let same = alike.sum::<u32>();
    let z = |count: u32, of: usize| (f64::from(count) - of as f64 / 2.0) / (of as f64 / 4.0).sqrt();
    let (z_ones, z_same) = (z(ones, bits), z(same, bits - varied.len() * 8));
    let evidence = format!(
        "{} of them, {} bytes that differ looked at in each; frequency of ones z = {z_ones:.1}, of bits that repeat z = {z_same:.1}",
        own.len(),
        varied.len()
    );
    // So many bytes cannot be guessed; beyond 5 chance comes but once in a million.
    if varied.len() >= SECRET && z_ones.abs() < 5.0 && z_same.abs() < 5.0 {
        Found::Refused(evidence)
    } else {
        Found::Worked(evidence)
    }
}

#[cfg(test)]
mod tests {
    use cloakroom_core::random::Rng;

    use super::*;

    /// Credentials whose first byte is the time of a sign-in every two seconds.
    fn credentials(secret: impl Fn(&Rng) -> [u8; SECRET]) -> Vec<String> {
        let rng = Rng::seeded(1);
        (0..32).map(|n| BASE64URL_NOPAD.encode(&[&[2 * n][..], &secret(&rng)].concat())).collect()
    }

    #[test]
    fn times_are_no_secret_and_secrets_that_repeat_are_found_out() {
        assert!(matches!(judged(&credentials(Rng::bytes)), Found::Refused(_)));
        let half = |rng: &Rng| rng.bytes::<SECRET>().map(|byte| byte & 0x0f);
        assert!(matches!(judged(&credentials(half)), Found::Worked(_)));
    }
}
