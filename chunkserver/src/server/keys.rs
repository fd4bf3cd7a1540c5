//! The keys of a run, and the access that each key opens.

use super::access::Access;
use api::phase::BootId;
use ring::hmac;
use std::fmt;

/// One key.
#[derive(Clone)]
pub struct Key(String);

impl fmt::Debug for Key {
    /// Does not show the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key")
    }
}

impl Key {
    /// A key from its text. An empty key equals nothing.
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// Whether `offered` equals the key, in a time that does not depend on the number of equal bytes.
    pub(super) fn matches(&self, offered: &str) -> bool {
        let (own, offered) = (self.0.as_bytes(), offered.as_bytes());
        !own.is_empty() && own.len() == offered.len() && own.iter().zip(offered).fold(0, |different, (a, b)| different | (a ^ b)) == 0
    }

    /// 128 bits that depend on this key, `role` and `scope`, as hexadecimal digits.
    fn derive(&self, role: &str, scope: &str) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.0.as_bytes());
        let tag = hmac::sign(&key, format!("arrayjob/page/{scope}/{role}").as_bytes());
        tag.as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
    }
}

/// The keys of a listener.
#[derive(Clone, Debug)]
pub struct Keys {
    read: Key,
    command: Option<Key>,
    /// The secret part of the page's path.
    page: Key,
    /// The value of the page's cookie.
    cookie: Key,
}

impl Keys {
    /// The keys of a server on loopback. The page's secrets are valid for this start of the server alone: another program that listens on
    /// the port after this server has ended may receive them.
    pub fn loopback(read: Key, command: Key, boot: &BootId) -> Self {
        Self { command: Some(command), ..Self::of(read, &boot.0) }
    }

    /// The keys of a port for readers of a cluster, which accepts no commands. The page's secrets are valid on all servers of the job,
    /// because a port-forward or a Service may select another server for each connection.
    pub fn readers(token: Key) -> Self {
        Self::of(token, "readers")
    }

    fn of(read: Key, scope: &str) -> Self {
        let (page, cookie) = (Key(read.derive("path", scope)), Key(read.derive("cookie", scope)));
        Self { read, command: None, page, cookie }
    }

    /// The access of a key in a `Bearer` header.
    pub(super) fn bearer(&self, offered: &str) -> Access {
        if self.command.as_ref().is_some_and(|command| command.matches(offered)) { Access::Command } else { self.reading(offered) }
    }

    /// The access of a key in a place that a URL, a browser or a log may contain. The command key is not accepted there.
    pub(super) fn reading(&self, offered: &str) -> Access {
        if self.read.matches(offered) { Access::Read } else { Access::Public }
    }

    /// The read key.
    pub(super) fn read(&self) -> &str {
        &self.read.0
    }

    /// Whether `offered` is the secret part of the page's path.
    pub(super) fn is_page(&self, offered: &str) -> bool {
        self.page.matches(offered)
    }

    /// Whether `offered` is the value of the page's cookie.
    pub(super) fn is_cookie(&self, offered: &str) -> bool {
        self.cookie.matches(offered)
    }

    /// The secret part of the page's path.
    pub(super) fn page(&self) -> &str {
        &self.page.0
    }

    /// The value of the page's cookie.
    pub(super) fn cookie(&self) -> &str {
        &self.cookie.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> Key {
        Key::new(text.to_owned())
    }

    #[test]
    fn only_the_exact_key_is_accepted() {
        let own = key("secret");
        assert!(own.matches("secret"));
        assert!(!own.matches("secre") && !own.matches("secret2") && !own.matches("") && !own.matches("Secret"));
        assert!(!key("").matches(""), "an empty key is accepted");
        assert_eq!(format!("{own:?}"), "Key");
    }

    #[test]
    fn the_command_key_is_accepted_as_bearer_only() {
        let keys = Keys::loopback(key("read"), key("command"), &BootId("b".into()));
        assert_eq!((keys.bearer("command"), keys.bearer("read"), keys.bearer("x")), (Access::Command, Access::Read, Access::Public));
        assert_eq!((keys.reading("command"), keys.reading("read")), (Access::Public, Access::Read));
        assert_eq!(Keys::readers(key("read")).bearer("command"), Access::Public);
        assert_eq!(Keys::loopback(key("read"), key(""), &BootId("b".into())).bearer(""), Access::Public);
    }

    #[test]
    fn the_secrets_of_a_page_differ_between_starts_and_from_the_key() {
        let of = |read: &str, boot: &str| Keys::loopback(key(read), key("command"), &BootId(boot.into()));
        let (one, again, other_start, other_key) = (of("read", "a"), of("read", "a"), of("read", "b"), of("more", "a"));
        assert_eq!((one.page(), one.cookie()), (again.page(), again.cookie()));
        for other in [&other_start, &other_key] {
            assert!(!other.is_page(one.page()) && !other.is_cookie(one.cookie()));
        }
        assert!(one.page() != one.cookie() && one.page().len() == 32);
        assert_eq!(one.reading(one.page()), Access::Public);
        assert_eq!(one.bearer(one.cookie()), Access::Public);
    }
}
