//! The attacks, one file each, by what they are about. Their order is that of the report.

mod cookies;
mod cross_site;
mod guessing;
mod pressure;
mod theft;
mod tokens;

use super::plan::{Attack, Family};

/// All of them.
pub(super) fn all() -> impl Iterator<Item = (Family, &'static Attack)> {
    ALL.iter().flat_map(|(family, attacks)| attacks.iter().map(|attack| (*family, *attack)))
}

/// The attacks of a family.
type Members = &'static [&'static Attack];

const ALL: [(Family, Members); 6] = [
    (
        Family::Theft,
        &[
            &theft::copied_cookie::ATTACK,
            &theft::copied_cookie_password::ATTACK,
            &theft::copied_access_token::ATTACK,
            &theft::copied_token_unnoticed::ATTACK,
            &theft::refresh_before_owner::ATTACK,
            &theft::refresh_after_owner::ATTACK,
            &theft::refresh_after_sign_out::ATTACK,
            &theft::token_in_url::ATTACK,
            &theft::token_in_log::ATTACK,
            &theft::xss_storage::ATTACK,
            &theft::xss_cookies::ATTACK,
            &theft::xss_memory::ATTACK,
            &theft::xss_rides::ATTACK,
            &theft::token_in_referrer::ATTACK,
            &theft::token_in_history::ATTACK,
            &theft::page_cache::ATTACK,
            &theft::back_button::ATTACK,
        ],
    ),
    (
        Family::CrossSite,
        &[
            &cross_site::csrf_form::ATTACK,
            &cross_site::csrf_sibling::ATTACK,
            &cross_site::csrf_image::ATTACK,
            &cross_site::csrf_fetch::ATTACK,
            &cross_site::content_type::ATTACK,
            &cross_site::logout_csrf::ATTACK,
            &cross_site::login_csrf::ATTACK,
            &cross_site::clickjacking::ATTACK,
            &cross_site::cors::ATTACK,
            &cross_site::websocket::ATTACK,
            &cross_site::method_override::ATTACK,
            &cross_site::open_redirect::ATTACK,
        ],
    ),
    (
        Family::Cookies,
        &[
            &cookies::fixation::ATTACK,
            &cookies::prefix_bypass::ATTACK,
            &cookies::duplicate_names::ATTACK,
            &cookies::tossing::ATTACK,
            &cookies::overflow::ATTACK,
            &cookies::path_tricks::ATTACK,
        ],
    ),
    (
        Family::Tokens,
        &[
            &tokens::alg_none::ATTACK,
            &tokens::algorithm_confusion::ATTACK,
            &tokens::kid_injection::ATTACK,
            &tokens::embedded_key::ATTACK,
            &tokens::fetched_key::ATTACK,
            &tokens::critical::ATTACK,
            &tokens::unencoded::ATTACK,
            &tokens::duplicate_claims::ATTACK,
            &tokens::huge::ATTACK,
            &tokens::nested::ATTACK,
            &tokens::refresh_as_access::ATTACK,
            &tokens::id_token::ATTACK,
            &tokens::other_issuer::ATTACK,
            &tokens::other_audience::ATTACK,
            &tokens::expired::ATTACK,
            &tokens::not_yet::ATTACK,
            &tokens::endless::ATTACK,
            &tokens::mistyped::ATTACK,
            &tokens::zero_signature::ATTACK,
            &tokens::replay_after_end::ATTACK,
            &tokens::key_kill::ATTACK,
        ],
    ),
    (
        Family::Guessing,
        &[
            &guessing::spraying::ATTACK,
            &guessing::stuffing::ATTACK,
            &guessing::brute_force::ATTACK,
            &guessing::forged_address::ATTACK,
            &guessing::enumeration_text::ATTACK,
            &guessing::enumeration_status::ATTACK,
            &guessing::enumeration_time::ATTACK,
            &guessing::prediction::ATTACK,
        ],
    ),
    (
        Family::Pressure,
        &[
            &pressure::login_flood::ATTACK,
            &pressure::hash_queue::ATTACK,
            &pressure::refresh_flood::ATTACK,
            &pressure::garbage_flood::ATTACK,
            &pressure::slow_clients::ATTACK,
            &pressure::huge_body::ATTACK,
            &pressure::session_flood::ATTACK,
        ],
    ),
];
