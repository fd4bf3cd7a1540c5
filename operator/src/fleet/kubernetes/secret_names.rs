//! The Secrets that jobs may send to their sources.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

/// Names of Secrets, separated by commas. A `*` at the end of a name is any text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretNames(Vec<String>);

impl SecretNames {
    /// Whether jobs may send the Secret with this name.
    pub fn permit(&self, name: &str) -> bool {
        self.0.iter().any(|pattern| match pattern.strip_suffix('*') {
            Some(prefix) => name.starts_with(prefix),
            None => name == pattern,
        })
    }
}

impl FromStr for SecretNames {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()))
    }
}

impl fmt::Display for SecretNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { f.write_str("no Secret") } else { f.write_str(&self.0.join(", ")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_or_a_prefix_permits_a_secret() {
        let names: SecretNames = "camera, images-*".parse().unwrap();
        assert!(names.permit("camera") && names.permit("images-a") && names.permit("images-"));
        assert!(!names.permit("camera2") && !names.permit("images") && !names.permit("") && !names.permit("my-camera"));
        assert!("*".parse::<SecretNames>().unwrap().permit("any"));
        let none: SecretNames = "".parse().unwrap();
        assert!(!none.permit("any") && none.to_string() == "no Secret");
        assert_eq!(names.to_string(), "camera, images-*");
    }
}
