//! Credentials on their way to and from browsers: which cookie carries what, set and cleared in one place.

use axum::{
    http::{HeaderName, HeaderValue, header::SET_COOKIE},
    response::Response,
};
use cloakroom_core::{
    app::App,
    clock::Clock,
    engine::{Credentials, SignedIn, Tokens},
    refusal::Reason,
};

use crate::http::cookie::{AppCookies, Carries};

/// Where a refresh token travels.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Transport {
    /// In bodies.
    Body,
    /// In its cookie.
    Cookie,
}

const CLEAR_SITE_DATA: HeaderName = HeaderName::from_static("clear-site-data");

/// Sets and clears the cookies of credentials.
pub struct Handover {
    cookies: AppCookies,
    clock: Clock,
}

impl Handover {
    pub(crate) const fn new(cookies: AppCookies, clock: Clock) -> Self {
        Self { cookies, clock }
    }

    /// The names, for reading.
    pub const fn cookies(&self) -> &AppCookies {
        &self.cookies
    }

    /// After a sign-in: a ticket always goes into its cookie, a refresh token where the client asked for that.
    pub fn give(&self, response: &mut Response, signed_in: &SignedIn, transport: Transport) -> Result<(), Reason> {
        match &signed_in.credentials {
            Credentials::Ticket(ticket) => {
                let life = signed_in.expires.since(self.clock.now());
                let cookie = self.cookies.set(&signed_in.app.id, Carries::SessionTicket, ticket.expose(), life)?;
                response.headers_mut().append(SET_COOKIE, cookie);
                Ok(())
            }
            Credentials::Tokens(tokens) if transport == Transport::Cookie => {
                self.give_refresh(response, &signed_in.app, tokens)
            }
            Credentials::Tokens(_) => Ok(()),
        }
    }

    /// After a renewal by cookie.
    pub fn give_refresh(&self, response: &mut Response, app: &App, tokens: &Tokens) -> Result<(), Reason> {
        let life = tokens.refresh_expires.since(self.clock.now());
        let cookie = self.cookies.set(&app.id, Carries::RefreshToken, tokens.refresh.expose(), life)?;
        response.headers_mut().append(SET_COOKIE, cookie);
        Ok(())
    }

    /// After an end, or a refusal for good. Pages that the browser kept for going back are let go of too: some keep even
    /// what must not be stored (Clear Site Data, section 3.1).
    pub fn clear(&self, response: &mut Response, app: &App) -> Result<(), Reason> {
        response.headers_mut().append(SET_COOKIE, self.cookies.delete(&app.id)?);
        response.headers_mut().insert(CLEAR_SITE_DATA, HeaderValue::from_static("\"cache\""));
        Ok(())
    }
}
