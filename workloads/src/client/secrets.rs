//! Secrets that a description names and the environment holds: passwords, tokens.
//!
//! A description has their names, `{secret.TOKEN}`, and nothing that is written down has more: neither a
//! run's folder nor its log nor its page.

/// What the names of secrets begin with.
pub const SECRET: &str = "secret.";

/// The secret of that name, without `secret.`.
///
/// # Errors
///
/// If the environment does not hold it, or not as text.
pub fn secret(name: &str) -> Result<String, String> {
    std::env::var(name).map_err(|error| format!("the secret {name}: {error}"))
}

/// The names of all secrets in `text`, without `secret.`, each once.
pub fn names(text: &str) -> Vec<String> {
    let beginning = format!("{{{SECRET}");
    let holes = text.split(&beginning).skip(1);
    let name = |rest: &str| {
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_')?;
        (end > 0 && rest[end..].starts_with(['}', ':'])).then(|| rest[..end].to_owned())
    };
    let mut names: Vec<String> = holes.filter_map(name).collect();
    names.sort();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_named_once_each() {
        let text =
            "Bearer {secret.TOKEN} {secret.A_1:base64} {secret.TOKEN} {secret.} {secret.a-b}";
        assert_eq!(names(text), ["A_1", "TOKEN"]);
        assert!(secret("PARTITA_NO_SUCH_SECRET").expect_err("none").contains("PARTITA_NO_SUCH"));
    }
}
