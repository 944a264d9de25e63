//! Who may ask.
//!
//! On loopback everybody on this machine may, but only by a name of loopback: a page of somebody else
//! whose name was made to lead here (DNS rebinding) is turned away. Elsewhere a token is needed, which an
//! address brings once and a cookie from then on.

/// Who may ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// What must be shown; `None` on loopback.
    token: Option<String>,
    /// The cookie's name; cookies are not kept apart by port.
    cookie: String,
}

/// What a request says of who asks.
#[derive(Debug, Clone, Copy, Default)]
pub struct Credentials<'a> {
    /// The host that was asked for, with a port or without.
    pub host: Option<&'a str>,
    /// The token in the address.
    pub token: Option<&'a str>,
    /// The header `Cookie`.
    pub cookies: Option<&'a str>,
    /// The header `Authorization`.
    pub authorization: Option<&'a str>,
}

/// Whether a request is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Yes.
    Allowed,
    /// The address has the right token: it is kept in this cookie, and the address asked for without.
    Keep {
        /// The value of the header `Set-Cookie`.
        cookie: String,
    },
    /// No: the token is missing or wrong.
    NoToken,
    /// No: the name is not one of this machine's.
    WrongHost,
}

impl Access {
    /// Everybody, by a name of loopback.
    pub fn loopback() -> Self {
        Self { token: None, cookie: String::new() }
    }

    /// Those that show `token`.
    pub fn by_token(token: String, port: u16) -> Self {
        Self { token: Some(token), cookie: format!("partita-{port}") }
    }

    /// The token that must be shown.
    pub fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// Whether a request with these is answered.
    pub fn decide(&self, asks: &Credentials<'_>) -> Decision {
        let Some(token) = &self.token else {
            let is_here = asks.host.is_some_and(is_loopback);
            return if is_here { Decision::Allowed } else { Decision::WrongHost };
        };
        if asks.token.is_some_and(|shown| is_same(shown, token)) {
            let cookie = format!("{}={token}; Path=/; HttpOnly; SameSite=Lax", self.cookie);
            return Decision::Keep { cookie };
        }
        let cookies =
            asks.cookies.unwrap_or_default().split(';').filter_map(|it| it.split_once('='));
        let mut kept = cookies.filter(|(name, _)| name.trim() == self.cookie);
        let bearer = asks.authorization.and_then(|text| text.strip_prefix("Bearer "));
        let is_known = kept.any(|(_, value)| is_same(value.trim(), token))
            || bearer.is_some_and(|shown| is_same(shown.trim(), token));
        if is_known { Decision::Allowed } else { Decision::NoToken }
    }
}

/// Compares without telling by time how much is right.
fn is_same(shown: &str, token: &str) -> bool {
    let differences = shown.bytes().zip(token.bytes()).fold(0, |sum, (a, b)| sum | (a ^ b));
    shown.len() == token.len() && differences == 0
}

/// Whether a host, with a port or without, is a name of loopback.
fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn on_loopback_only_names_of_loopback_are_answered() {
        let access = Access::loopback();
        let decide = |host| access.decide(&Credentials { host, ..Credentials::default() });
        for host in ["localhost", "LOCALHOST:80", "127.0.0.1:4180", "127.1.2.3", "[::1]:1", "[::1]"]
        {
            assert_eq!(decide(Some(host)), Decision::Allowed, "{host}");
        }
        for host in [
            "evil.example",
            "127.0.0.1.evil.example:4180",
            "10.0.0.1",
            "",
            "[::2]:1",
            "localhost.x",
        ] {
            assert_eq!(decide(Some(host)), Decision::WrongHost, "{host}");
        }
        assert_eq!(decide(None), Decision::WrongHost);
    }

    #[test]
    fn elsewhere_a_token_is_needed_by_address_cookie_or_header() {
        let access = Access::by_token("abc123".to_owned(), 80);
        let asks = Credentials { host: Some("lab.example"), ..Credentials::default() };
        assert_eq!(access.decide(&asks), Decision::NoToken);
        let Decision::Keep { cookie } =
            access.decide(&Credentials { token: Some("abc123"), ..asks })
        else {
            panic!("the token is right");
        };
        assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite"), "{cookie}");
        let kept = format!("a=b; {}", cookie.split(';').next().expect("a pair"));
        let decide =
            |cookies, authorization| access.decide(&Credentials { cookies, authorization, ..asks });
        assert_eq!(decide(Some(&kept), None), Decision::Allowed);
        assert_eq!(decide(None, Some("Bearer abc123")), Decision::Allowed);
        for wrong in ["partita-80=abc12", "partita-80=abc1234", "partita-81=abc123", "abc123", "="]
        {
            assert_eq!(decide(Some(wrong), None), Decision::NoToken, "{wrong}");
            assert_eq!(decide(None, Some(wrong)), Decision::NoToken, "{wrong}");
        }
        assert_eq!(access.decide(&Credentials { token: Some(""), ..asks }), Decision::NoToken);
    }
}
