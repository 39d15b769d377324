//! Who has an account, by how long the answer takes.

use crate::attack::{
    plan::{Attack, Expected, Found, Needs, Tried},
    stage::Stage,
    target::Person,
};

pub(in crate::attack) const ATTACK: Attack = Attack {
    id: "enumeration-time",
    title: "Who has an account, by how long the answer takes",
    has: "a list of addresses, and a clock",
    does: "tries to sign in as each, and measures",
    gains: "a list of who has an account",
    source: "OWASP WSTG-IDNT-04; CWE-208; CVE-2018-15473",
    expected: Expected::EVERYWHERE,
    needs: Needs::Quiet,
    run: |stage| Box::pin(run(stage)),
};

async fn run(stage: &Stage) -> Tried {
    const EACH: usize = 12;
    let mut people = Vec::new();
    for _ in 0..EACH {
        let known = stage.person("known");
        stage.target.sign_up(&known).await?;
        people.push((known, stage.person("unknown")));
    }
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for (known, unknown) in people {
        for (person, times) in [(known, &mut with), (unknown, &mut without)] {
            // The quicker of two, since only noise makes an answer late.
            let mut quicker = f64::INFINITY;
            for _ in 0..2 {
                let elsewhere = Person { at: stage.address(), ..person.clone() };
                let answer = stage.target.try_sign_in(&elsewhere, "not the right one 55", &stage.target.app).await?;
                quicker = quicker.min(answer.took.as_secs_f64() * 1000.0);
            }
            times.push(quicker);
        }
    }
    // How often somebody with an account takes longer than somebody without: half of the time if nothing can be told.
    let longer = with.iter().flat_map(|a| without.iter().map(move |b| a > b)).filter(|longer| *longer).count();
    let told = longer as f64 / (EACH * EACH) as f64;
    let evidence = format!(
        "{EACH} each: {:.1} ms with an account, {:.1} ms without (medians); the longer of two is told right in {:.0} % of pairs",
        median(&mut with),
        median(&mut without),
        told * 100.0
    );
    // By chance alone it is beyond that once in some thousand runs.
    Ok(if (0.05..=0.95).contains(&told) { Found::Refused(evidence) } else { Found::Worked(evidence) })
}

fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
