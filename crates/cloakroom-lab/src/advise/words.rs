//! What `advise` says besides the rules, in each language. A language that lacks a sentence does not compile.

use super::{Fit, cost::Estimate};
use crate::{case::Key, language::Lang};

/// The sentences of one language.
pub(super) struct Words {
    pub(super) use_method: fn(&str) -> String,
    pub(super) nothing: &'static str,
    pub(super) fits: fn(Fit) -> &'static str,
    pub(super) against: fn(u32) -> String,
    pub(super) ruled_out: &'static str,
    pub(super) settings: &'static str,
    pub(super) cost: &'static str,
    pub(super) costs: fn(&Estimate) -> Vec<(&'static str, String)>,
    pub(super) others: &'static str,
    pub(super) changes: &'static str,
    pub(super) changed: fn(key: &str, to: &str, from: &str, method: Option<&str>) -> String,
    pub(super) unchanged: &'static str,
    pub(super) unsatisfiable: fn(keys: &str, change: &str, method: &str) -> String,
    pub(super) no_pages: &'static str,
    pub(super) and: &'static str,
    pub(super) secret: &'static str,
    pub(super) case: &'static str,
    pub(super) apart: fn(client: &str, method: &str) -> String,
    pub(super) intro: &'static str,
    pub(super) question: fn(Key) -> &'static str,
    pub(super) yes_no: fn(bool) -> &'static str,
}

/// Those of a language.
pub(super) const fn words(lang: Lang) -> &'static Words {
    match lang {
        Lang::English => &ENGLISH,
        Lang::Korean => &KOREAN,
    }
}

static ENGLISH: Words = Words {
    use_method: |method| format!("Use `{method}`."),
    nothing: "Nothing satisfies this case.",
    fits: |fit| match fit {
        Fit::Best => "best",
        Fit::Good => "good",
        Fit::Possible => "possible",
        Fit::RuledOut => "ruled out",
    },
    against: |points| format!("{points} against it"),
    ruled_out: "rules it out",
    settings: "What to write into the configuration:",
    cost: "What it takes:",
    costs: |cost| {
        vec![
            ("processor", format!("{} of a core", number(cost.cpu_cores))),
            ("traffic of credentials", format!("{}/s", bytes(cost.wire_bytes_per_second))),
            ("price of that traffic", format!("{} a month", number(cost.egress_per_month))),
            ("store", format!("{} operations a second", number(cost.store_operations_per_second))),
            ("state", bytes(cost.state_bytes)),
            ("an end holds after", after(cost.end_lag_ms, "the next request begins", "at most ", "")),
        ]
    },
    others: "The other methods:",
    changes: "What would change the answer:",
    changed: |key, to, from, method| match method {
        Some(method) => format!("{key} = {to} (instead of {from}): then `{method}`"),
        None => format!("{key} = {to} (instead of {from}): then nothing would satisfy the case"),
    },
    unchanged: "No change of a single key does.",
    unsatisfiable: |keys, change, method| {
        if change.is_empty() {
            format!("Nothing satisfies {keys} together.")
        } else {
            format!("Nothing satisfies {keys} together. The smallest change that helps: {change}; then `{method}`.")
        }
    },
    no_pages: "`cross_site` is about pages in a browser, and `clients` names no browser: it means nothing here.",
    and: " and ",
    secret: "Servers that share accounts share CLOAKROOM_SECRET as well.",
    case: "The case, as a file for --case:",
    apart: |client, method| {
        format!("For {client} alone `{method}` would be better: an app of its own can have its own method.")
    },
    intro: "A few questions; Enter takes what stands in brackets.",
    question: |key| match key {
        Key::Clients => "What asks? (browser, mobile, service, third_party; several with commas)",
        Key::LiveSessions => "How many are signed in at a time?",
        Key::RequestsPerSecond => "How many requests a second carry a credential?",
        Key::LoginsPerSecond => "How many sign in each second?",
        Key::Servers => "On how many servers are credentials checked?",
        Key::Regions => "In how many regions do they stand?",
        Key::StoreRoundTripMs => "How many milliseconds to the store and back?",
        Key::SharedStore => "Can you run a store that all servers reach?",
        Key::EndWithin => {
            "How soon after a sign-out must nothing be accepted any more? (0s: from the next request on; 5s, 1m, …; any)"
        }
        Key::Verifiers => {
            "Who checks credentials? (own: the app itself; many_services: many of your services; third_party: somebody who cannot ask \
             Cloakroom each time)"
        }
        Key::CrossSite => "Are the pages and the API on different sites?",
        Key::OfflineVerification => "May whoever checks be cut off for hours?",
        Key::Sensitive => "Is it about money, health or administration?",
        Key::EgressPricePerGb => "What does a gigabyte of traffic cost?",
    },
    yes_no: |yes| if yes { "yes" } else { "no" },
};

static KOREAN: Words = Words {
    use_method: |method| format!("`{method}` 방식을 쓰세요."),
    nothing: "이 조건을 모두 만족하는 방식이 없습니다.",
    fits: |fit| match fit {
        Fit::Best => "최선",
        Fit::Good => "좋음",
        Fit::Possible => "가능",
        Fit::RuledOut => "제외",
    },
    against: |points| format!("감점 {points}"),
    ruled_out: "제외 사유",
    settings: "설정 파일에 쓸 내용:",
    cost: "드는 비용:",
    costs: |cost| {
        vec![
            ("프로세서", format!("코어 {}개", number(cost.cpu_cores))),
            ("자격 증명 트래픽", format!("초당 {}", bytes(cost.wire_bytes_per_second))),
            ("그 트래픽의 요금", format!("한 달에 {}", number(cost.egress_per_month))),
            ("저장소", format!("초당 {}회", number(cost.store_operations_per_second))),
            ("상태", bytes(cost.state_bytes)),
            ("종료가 적용되는 때", after(cost.end_lag_ms, "바로 다음 요청부터", "늦어도 ", " 뒤")),
        ]
    },
    others: "다른 방식:",
    changes: "답이 달라지는 조건:",
    changed: |key, to, from, method| match method {
        Some(method) => format!("{key} = {to} (지금은 {from}): 그러면 `{method}`"),
        None => format!("{key} = {to} (지금은 {from}): 그러면 맞는 방식이 없음"),
    },
    unchanged: "키 하나만 바꿔서는 답이 달라지지 않습니다.",
    unsatisfiable: |keys, change, method| {
        if change.is_empty() {
            format!("다음을 함께 만족하는 방식이 없습니다: {keys}.")
        } else {
            format!(
                "다음을 함께 만족하는 방식이 없습니다: {keys}. 가장 작은 변경: {change}. 그러면 `{method}` 방식을 쓸 수 있습니다."
            )
        }
    },
    no_pages: "`cross_site`는 브라우저의 페이지에 관한 것인데 `clients`에 브라우저가 없어, 여기서는 아무 뜻이 없습니다.",
    and: ", ",
    secret: "계정을 공유하는 서버들은 CLOAKROOM_SECRET도 공유합니다.",
    case: "이 조건을 --case 파일로 쓰면:",
    apart: |client, method| {
        format!("{client}만 따로 본다면 `{method}` 방식이 낫습니다. 앱을 나누면 저마다 방식을 정할 수 있습니다.")
    },
    intro: "몇 가지를 여쭙니다. Enter를 누르면 괄호 안의 값을 씁니다.",
    question: |key| match key {
        Key::Clients => "무엇이 요청하나요? (browser, mobile, service, third_party; 여럿이면 쉼표로)",
        Key::LiveSessions => "동시에 로그인해 있는 사람은 몇 명인가요?",
        Key::RequestsPerSecond => "자격 증명이 실린 요청은 초당 몇 개인가요?",
        Key::LoginsPerSecond => "초당 몇 번 로그인하나요?",
        Key::Servers => "자격 증명을 확인하는 서버는 몇 대인가요?",
        Key::Regions => "서버는 몇 개 지역에 있나요?",
        Key::StoreRoundTripMs => "저장소까지 왕복 몇 밀리초인가요?",
        Key::SharedStore => "모든 서버가 닿는 저장소를 운영할 수 있나요?",
        Key::EndWithin => {
            "로그아웃한 뒤 얼마 안에 아무것도 받아들이지 않아야 하나요? (0s: 바로 다음 요청부터; 5s, 1m, …; any: 만료까지)"
        }
        Key::Verifiers => {
            "누가 자격 증명을 확인하나요? (own: 앱 자신; many_services: 자사의 여러 서비스; third_party: 매번 Cloakroom에 물을 수 없는 외부)"
        }
        Key::CrossSite => "페이지와 API가 서로 다른 사이트에 있나요?",
        Key::OfflineVerification => "확인하는 쪽의 연결이 몇 시간씩 끊길 수 있나요?",
        Key::Sensitive => "돈, 건강, 관리 권한에 관한 것인가요?",
        Key::EgressPricePerGb => "트래픽 1GB의 요금은 얼마인가요?",
    },
    yes_no: |yes| if yes { "예" } else { "아니요" },
};

fn after(ms: f64, at_once: &str, before: &str, behind: &str) -> String {
    match ms {
        0.0 => at_once.to_owned(),
        ms if ms < 1_000.0 => format!("{before}{} ms{behind}", number(ms)),
        ms => format!("{before}{} s{behind}", number(ms / 1_000.0)),
    }
}

/// To three digits, without an exponent.
fn number(value: f64) -> String {
    let digits = if value == 0.0 { 0 } else { (2 - value.abs().log10().floor() as i32).clamp(0, 6) };
    let text = format!("{value:.*}", usize::try_from(digits).unwrap_or_default());
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

fn bytes(value: f64) -> String {
    const UNITS: [(&str, f64); 4] = [("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)];
    let unit = UNITS.into_iter().find(|(_, size)| value >= *size);
    unit.map_or_else(|| format!("{} B", number(value)), |(unit, size)| format!("{} {unit}", number(value / size)))
}
