//! Errors and their causes as words.

use std::error::Error;

/// The message of a program that was built without a part, with the command that installs all parts.
pub fn not_built(part: &str) -> String {
    format!("this program is built without {part}; cargo install --path cli installs all of it")
}

/// The message of an error and of all its causes, as one sentence.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    for cause in error.source().into_iter().flat_map(causes) {
        let message = cause.to_string();
        // Some libraries repeat the message of the cause in their own message.
        if !text.contains(&message) {
            text.push_str(": ");
            text.push_str(&message);
        }
    }
    text
}

/// An error and all its causes, the error first.
pub fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt;

    #[derive(Debug)]
    struct Wrapped(&'static str, Option<Box<Self>>);

    impl fmt::Display for Wrapped {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
    }

    impl std::error::Error for Wrapped {
        fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
            self.1.as_deref().map(|cause| cause as _)
        }
    }

    #[test]
    fn each_cause_is_stated_once() {
        let cause = Wrapped("no route", None);
        let repeated = Wrapped("cannot connect: no route", Some(Box::new(cause)));
        let error = Wrapped("frame 3", Some(Box::new(repeated)));
        assert_eq!(chain(&error), "frame 3: cannot connect: no route");
    }
}
