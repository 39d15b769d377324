//! The rules: all that an advice rests on. Each names what it says about a method in a case, in which words, and where that comes
//! from.
//!
//! Constraints come first: a rule that rules a method out leaves no room for weighing. What is left is ordered by points against it;
//! a rule with no points says what a method does well, so that the reader sees what the others are measured by.

use std::time::Duration;

use cloakroom_core::{
    app::App,
    method::{Check, Memory, Method, Upstream},
};

use super::settings;
use crate::{
    case::{Case, Client, EndWithin, Key, Verifiers},
    language::Lang,
};

/// One rule.
pub struct Rule {
    /// Its name in answers; never reused.
    pub id: &'static str,
    /// The keys of the case that it looks at.
    pub keys: &'static [Key],
    english: &'static str,
    korean: &'static str,
    /// Where it comes from.
    pub source: Source,
    applies: fn(&Case, Method) -> Option<Effect>,
}

/// What a rule does to a method in a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It cannot be used.
    RulesOut,
    /// So many points against it.
    Against(u32),
    /// It does well here, which the order of the methods takes from the points of the others.
    For,
}

/// Where a rule comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A measurement, by the command that repeats it.
    Measured(&'static str),
    /// A standard.
    Rfc(&'static str),
    /// What the method is.
    Property(&'static str),
}

impl Source {
    /// In words, as an answer cites it.
    pub fn text(self, lang: Lang) -> String {
        match (self, lang) {
            (Self::Measured(command), Lang::English) => format!("measured: {command}"),
            (Self::Measured(command), Lang::Korean) => format!("측정: {command}"),
            (Self::Rfc(section), _) => section.to_owned(),
            (Self::Property(page), Lang::English) => format!("property of the method: {page}"),
            (Self::Property(page), Lang::Korean) => format!("방식의 성질: {page}"),
        }
    }
}

impl Rule {
    /// What it says about a method in a case, if anything.
    pub fn effect(&self, case: &Case, method: Method) -> Option<Effect> {
        (self.applies)(case, method)
    }

    /// Its sentence.
    pub const fn sentence(&self, lang: Lang) -> &'static str {
        match lang {
            Lang::English => self.english,
            Lang::Korean => self.korean,
        }
    }
}

fn looks_up(method: Method) -> bool {
    method.properties().check == Check::LookUp
}

fn keeps_nothing(method: Method) -> bool {
    method.properties().memory == Memory::Nothing
}

fn mints(method: Method) -> bool {
    method.properties().upstream == Upstream::MintedToken
}

fn on(holds: bool, effect: Effect) -> Option<Effect> {
    holds.then_some(effect)
}

/// Whether an end must be heeded sooner than the revocation log can be heard.
fn at_once(case: &Case) -> bool {
    let soon = match case.end_within {
        EndWithin::NextRequest => true,
        EndWithin::Within(time) => time < App::SHORTEST_LAG,
        EndWithin::Any => false,
    };
    soon && !case.one_verifier()
}

/// Whether clients keep their credential where its owner's enemies may come by it.
fn public(case: &Case) -> bool {
    [Client::Browser, Client::Mobile, Client::ThirdParty].into_iter().any(|client| case.has(client))
}

/// A store that is farther away than this is felt by whoever waits for it.
pub const FAR_MS: f64 = 10.0;
/// With so many live logins their records fill the memory of a large machine.
pub const MUCH_STATE: u64 = 100_000_000;
/// Renewal more often than this weighs on clients and server.
pub const OFTEN: Duration = Duration::from_secs(60);

/// Every rule, constraints first.
pub static RULES: [Rule; 29] = [
    Rule {
        id: "cookie-cross-site",
        keys: &[Key::CrossSite, Key::Clients],
        english: "A page on another site sends no SameSite cookie with its requests, so a ticket in a cookie does not arrive.",
        korean: "다른 사이트의 페이지에서 보낸 요청에는 SameSite 쿠키가 실리지 않으므로, 쿠키에 담긴 티켓이 서버에 닿지 않습니다.",
        source: Source::Rfc("RFC 6265bis section 4.1.2.7"),
        applies: |case, method| on(looks_up(method) && case.cross_site && case.has(Client::Browser), Effect::RulesOut),
    },
    Rule {
        id: "third-party-client",
        keys: &[Key::Clients],
        english: "Somebody else's app must get a credential of its own that is good for one audience and a few minutes; a ticket opens \
                  everything for weeks.",
        korean: "다른 회사의 앱에는 정해진 대상에서 몇 분만 통하는 별도의 자격 증명을 줘야 합니다. 티켓은 몇 주 동안 모든 것을 엽니다.",
        source: Source::Rfc("RFC 9700 section 2.3"),
        applies: |case, method| on(looks_up(method) && case.has(Client::ThirdParty), Effect::RulesOut),
    },
    Rule {
        id: "third-party-verifier",
        keys: &[Key::Verifiers],
        english: "Who cannot reach Cloakroom on each request cannot look a ticket up; a signed token can be checked with the public key.",
        korean: "요청마다 Cloakroom에 닿을 수 없는 검증자는 티켓을 조회할 수 없습니다. 서명된 토큰은 공개 키만으로 확인할 수 있습니다.",
        source: Source::Rfc("RFC 9068 section 4"),
        applies: |case, method| on(looks_up(method) && case.verifiers == Verifiers::ThirdParty, Effect::RulesOut),
    },
    Rule {
        id: "offline",
        keys: &[Key::OfflineVerification],
        english: "A verifier that is cut off can look nothing up: without a lease a ticket is refused.",
        korean: "연결이 끊긴 검증자는 아무것도 조회할 수 없습니다. 리스가 없으면 티켓은 거부됩니다.",
        source: Source::Property("docs/session-or-jwt.md"),
        applies: |case, method| on(looks_up(method) && case.offline_verification, Effect::RulesOut),
    },
    Rule {
        id: "unshared-records",
        keys: &[Key::SharedStore, Key::Servers],
        english: "A record that one server keeps is not there at the others: they refuse people who are signed in, or their renewals.",
        korean: "한 서버에만 있는 기록은 다른 서버에서 찾을 수 없어, 로그인한 사람이나 그 갱신 요청을 잘못 거부하게 됩니다.",
        source: Source::Measured("cloakroom compare, topology `unshared`"),
        applies: |case, method| on(!keeps_nothing(method) && case.servers > 1 && !case.shared_store, Effect::RulesOut),
    },
    Rule {
        id: "next-request",
        keys: &[Key::EndWithin, Key::Servers, Key::Regions, Key::Verifiers],
        english: "A signature says nothing about ends, and the revocation log needs 100 ms to be heard everywhere: an end does not hold \
                  from the next request on.",
        korean: "서명은 종료 여부를 알려 주지 않고, 폐기 로그가 모든 검증자에 전해지는 데 100ms가 필요하므로, 바로 다음 요청부터 거부할 수는 \
                 없습니다.",
        source: Source::Property("docs/configuration.md, max_revocation_lag"),
        applies: |case, method| on(!looks_up(method) && at_once(case) && !case.deaf(), Effect::RulesOut),
    },
    Rule {
        id: "end-by-expiry",
        keys: &[Key::EndWithin, Key::Verifiers, Key::OfflineVerification],
        english: "Who hears no revocation feed goes on until the token expires, and a token that lives for less than 10 s (and 5 s of \
                  leeway) is over before a slow client has used it.",
        korean: "폐기 피드를 듣지 못하는 검증자는 토큰이 만료될 때까지 받아들입니다. 수명이 10초(여유 5초 별도)보다 짧은 토큰은 느린 클라이언트가 \
                 쓰기도 전에 만료됩니다.",
        source: Source::Property("cloakroom config check, by_signature_alone"),
        applies: |case, method| {
            let end = EndWithin::Within(settings::SHORTEST_TOKEN + settings::LEEWAY);
            on(!looks_up(method) && case.deaf() && case.end_within < end, Effect::RulesOut)
        },
    },
    Rule {
        id: "sensitive-record",
        keys: &[Key::Sensitive],
        english: "Where money, health or administration is at stake one must see one's devices, be signed out when idle, and notice a \
                  stolen refresh token; without a record none of it is possible.",
        korean: "돈, 건강, 관리 권한이 걸린 곳에서는 기기 목록, 유휴 시 로그아웃, 도난된 갱신 토큰의 탐지가 필요합니다. 기록이 없으면 어느 것도 할 수 \
                 없습니다.",
        source: Source::Rfc("RFC 9700 section 4.14.2"),
        applies: |case, method| on(keeps_nothing(method) && case.sensitive, Effect::RulesOut),
    },
    Rule {
        id: "token-bytes",
        keys: &[],
        english: "An access token is sent with each request, and takes 447 bytes where a ticket takes 47.",
        korean: "액세스 토큰은 요청마다 실려 가며, 47바이트인 티켓과 달리 447바이트를 차지합니다.",
        source: Source::Measured("scripts/bench sizes"),
        applies: |_, method| on(!looks_up(method), Effect::Against(1)),
    },
    Rule {
        id: "script-reach",
        keys: &[Key::Clients, Key::Sensitive],
        english: "The page's script sends the access token itself, so that a script which was smuggled in can copy it.",
        korean: "페이지의 스크립트가 액세스 토큰을 직접 다루므로, 몰래 끼어든 스크립트가 그것을 베껴 갈 수 있습니다.",
        source: Source::Measured("cloakroom attack, theft"),
        applies: |case, method| {
            let points = if case.sensitive { 2 } else { 1 };
            on(!looks_up(method) && case.has(Client::Browser), Effect::Against(points))
        },
    },
    Rule {
        id: "client-renews",
        keys: &[Key::Clients],
        english: "A page with tokens must renew them every few minutes, in each of its tabs and over lost answers; a cookie wants nothing.",
        korean: "토큰을 쓰는 페이지는 몇 분마다, 탭마다, 응답을 잃어버린 때에도 토큰을 갱신해야 합니다. 쿠키라면 할 일이 없습니다.",
        source: Source::Property("docs/session-or-jwt.md"),
        applies: |case, method| on(!looks_up(method) && case.has(Client::Browser), Effect::Against(1)),
    },
    Rule {
        id: "no-reuse-detection",
        keys: &[Key::Clients],
        english: "A refresh token that is not rotated gives no sign when a copy of it is used; clients that cannot keep a secret should have \
                  one that is.",
        korean: "교체되지 않는 갱신 토큰은 사본이 쓰여도 드러나지 않습니다. 비밀을 지킬 수 없는 클라이언트에는 교체되는 토큰을 줘야 합니다.",
        source: Source::Rfc("RFC 9700 section 2.2.2"),
        applies: |case, method| on(keeps_nothing(method) && public(case), Effect::Against(2)),
    },
    Rule {
        id: "no-device-list",
        keys: &[],
        english: "Nothing is kept per login: there is no list of devices and no idle time-out.",
        korean: "로그인마다 남기는 것이 없어 기기 목록과 유휴 만료가 없습니다.",
        source: Source::Property("docs/session-or-jwt.md"),
        applies: |_, method| on(keeps_nothing(method), Effect::Against(1)),
    },
    Rule {
        id: "copied-ticket",
        keys: &[Key::Clients],
        english: "A phone keeps its credential for months, in backups too; a copied ticket is not noticed, a copied refresh token is when \
                  both are used.",
        korean: "휴대전화는 자격 증명을 몇 달씩, 백업에까지 보관합니다. 베껴 간 티켓은 드러나지 않지만, 베껴 간 갱신 토큰은 양쪽에서 쓰이면 드러납니다.",
        source: Source::Measured("cloakroom compare, theft window"),
        applies: |case, method| on(looks_up(method) && case.has(Client::Mobile), Effect::Against(2)),
    },
    Rule {
        id: "service-bearer",
        keys: &[Key::Clients],
        english: "A program keeps no cookies and calls others directly: a bearer token is what its libraries speak.",
        korean: "프로그램은 쿠키를 보관하지 않고 서로를 직접 호출합니다. 그런 라이브러리가 쓰는 것은 베어러 토큰입니다.",
        source: Source::Rfc("RFC 6750 section 2.1"),
        applies: |case, method| on(looks_up(method) && case.clients.iter().eq(&[Client::Service]), Effect::Against(2)),
    },
    Rule {
        id: "each-service-asks",
        keys: &[Key::Verifiers],
        english: "Each service that first sees a ticket has to ask Cloakroom about it, and needs a secret of its own to do so.",
        korean: "티켓을 처음 본 서비스는 저마다 Cloakroom에 물어야 하고, 그러려면 서비스마다 비밀이 하나씩 필요합니다.",
        source: Source::Rfc("RFC 7662 section 2.1"),
        applies: |case, method| {
            let asks = looks_up(method) && !mints(method);
            on(asks && case.verifiers == Verifiers::ManyServices, Effect::Against(2))
        },
    },
    Rule {
        id: "minted-for-nobody",
        keys: &[Key::Verifiers],
        english: "A token is minted and signed for upstreams, and nobody but the server checks it.",
        korean: "상류 서비스를 위해 토큰을 만들고 서명하지만, 서버 말고는 아무도 그것을 확인하지 않습니다.",
        source: Source::Property("docs/session-or-jwt.md"),
        applies: |case, method| on(mints(method) && case.verifiers == Verifiers::Own, Effect::Against(2)),
    },
    Rule {
        id: "through-the-edge",
        keys: &[Key::Clients, Key::Verifiers],
        english: "Services that call each other would have to go through the edge to get a token.",
        korean: "서로 호출하는 서비스들이 토큰을 얻으려면 매번 에지를 거쳐야 합니다.",
        source: Source::Property("docs/session-or-jwt.md"),
        applies: |case, method| {
            let among = case.verifiers == Verifiers::ManyServices && case.has(Client::Service);
            on(mints(method) && among, Effect::Against(1))
        },
    },
    Rule {
        id: "far-regions",
        keys: &[Key::Regions],
        english: "The first check of a ticket at each server asks the store, whose primary is in one region; where that cannot be reached, \
                  tickets are refused.",
        korean: "서버마다 티켓을 처음 확인할 때 저장소에 묻는데, 그 주 저장소는 한 지역에 있습니다. 거기에 닿지 못하면 티켓은 거부됩니다.",
        source: Source::Property("docs/stores.md"),
        applies: |case, method| on(looks_up(method) && case.regions > 1, Effect::Against(2)),
    },
    Rule {
        id: "slow-store",
        keys: &[Key::StoreRoundTripMs],
        english: "A look-up waits 10 ms or more for the store; a signature waits for nobody.",
        korean: "조회는 저장소를 10ms 넘게 기다립니다. 서명 확인은 아무도 기다리지 않습니다.",
        source: Source::Property("docs/session-or-jwt.md"),
        applies: |case, method| on(looks_up(method) && case.store_round_trip_ms >= FAR_MS, Effect::Against(2)),
    },
    Rule {
        id: "read-each-check",
        keys: &[Key::EndWithin, Key::Servers, Key::Regions, Key::Verifiers],
        english: "For an end to hold from the next request on at every server, each check reads the store.",
        korean: "모든 서버에서 바로 다음 요청부터 거부하려면 확인할 때마다 저장소를 읽어야 합니다.",
        source: Source::Property("docs/configuration.md, max_revocation_lag"),
        applies: |case, method| on(looks_up(method) && at_once(case), Effect::Against(1)),
    },
    Rule {
        id: "short-tokens",
        keys: &[Key::EndWithin, Key::Verifiers, Key::OfflineVerification],
        english: "To end in time without the feed, tokens live for less than a minute, and every client renews that often.",
        korean: "피드 없이 제때 끝내려면 토큰 수명이 1분보다 짧아야 하고, 모든 클라이언트가 그만큼 자주 갱신해야 합니다.",
        source: Source::Measured("scripts/bench refresh"),
        applies: |case, method| {
            on(!looks_up(method) && case.deaf() && settings::token_lifetime(case, method) < OFTEN, Effect::Against(1))
        },
    },
    Rule {
        id: "much-state",
        keys: &[Key::LiveSessions],
        english: "A record per login adds up: 120 bytes in memory and 308 in Redis make 12 to 31 GB of a hundred million.",
        korean: "로그인마다 남는 기록은 쌓입니다. 메모리에서 120바이트, Redis에서 308바이트이므로 1억 개면 12~31GB입니다.",
        source: Source::Measured("scripts/bench memory-per-login"),
        applies: |case, method| on(!keeps_nothing(method) && case.live_sessions >= MUCH_STATE, Effect::Against(1)),
    },
    Rule {
        id: "near-cache",
        keys: &[Key::EndWithin],
        english: "A ticket that a server has seen is checked from its memory, about as quickly as a token, and an end is heard within the \
                  lag that is set.",
        korean: "서버가 한 번 본 티켓은 메모리에서 토큰만큼 빠르게 확인되고, 종료는 설정한 지연 안에 전해집니다.",
        source: Source::Measured("scripts/bench verify-session-warm"),
        applies: |case, method| on(looks_up(method) && !at_once(case), Effect::For),
    },
    Rule {
        id: "out-of-reach",
        keys: &[Key::Clients],
        english: "The ticket is in an HttpOnly cookie, where no script can read it.",
        korean: "티켓은 어떤 스크립트도 읽을 수 없는 HttpOnly 쿠키에 들어 있습니다.",
        source: Source::Rfc("RFC 6265bis section 4.1.2.6"),
        applies: |case, method| on(looks_up(method) && case.has(Client::Browser), Effect::For),
    },
    Rule {
        id: "asks-nobody",
        keys: &[Key::Verifiers, Key::Regions, Key::OfflineVerification],
        english: "Whoever has the public keys checks a token alone, wherever they are and whether or not the server can be reached.",
        korean: "공개 키만 있으면 어디에 있든, 서버에 닿든 닿지 않든 혼자서 토큰을 확인할 수 있습니다.",
        source: Source::Rfc("RFC 9068 section 4"),
        applies: |case, method| {
            let apart = case.deaf() || case.regions > 1 || case.verifiers != Verifiers::Own;
            on(!looks_up(method) && apart, Effect::For)
        },
    },
    Rule {
        id: "reuse-found",
        keys: &[Key::Clients],
        english: "The refresh token rotates on a kept record: a copy is found out as soon as both have been used, and the session ends.",
        korean: "갱신 토큰은 남아 있는 기록 위에서 교체됩니다. 사본과 원본이 모두 쓰이는 순간 도난이 드러나고 세션이 끝납니다.",
        source: Source::Rfc("RFC 9700 section 4.14.2"),
        applies: |case, method| on(!looks_up(method) && !keeps_nothing(method) && public(case), Effect::For),
    },
    Rule {
        id: "nothing-kept",
        keys: &[Key::SharedStore, Key::LiveSessions],
        english: "Servers share only accounts, keys and the log of what ended, however many are signed in.",
        korean: "몇 명이 로그인해 있든 서버들은 계정, 키, 종료 기록만 공유합니다.",
        source: Source::Property("docs/session-or-jwt.md"),
        applies: |_, method| on(keeps_nothing(method), Effect::For),
    },
    Rule {
        id: "minted-inside",
        keys: &[Key::Verifiers],
        english: "Outside there is only a ticket; inside, each request carries a token of a minute that every service checks alone.",
        korean: "바깥에는 티켓만 있고, 안에서는 요청마다 모든 서비스가 혼자 확인할 수 있는 1분짜리 토큰이 따라갑니다.",
        source: Source::Property("docs/forward-auth.md"),
        applies: |case, method| on(mints(method) && case.verifiers == Verifiers::ManyServices, Effect::For),
    },
];
