//! How settings are written: durations as people say them (`333ms`, `4s`, `30m`), in files and in the environment.

/// `#[serde(with = "millrace_core::config::duration")]` for a [`std::time::Duration`].
pub mod duration {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    /// Writes the shortest exact form.
    ///
    /// # Errors
    /// Only the serializer's.
    pub fn serialize<S: Serializer>(value: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&humantime::format_duration(*value))
    }

    /// Reads a number with its unit.
    ///
    /// # Errors
    /// A text that is no duration; the message shows one.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse(&text).map_err(serde::de::Error::custom)
    }

    /// Reads a number with its unit: `200ms`, `4s`, `1m 30s`.
    ///
    /// # Errors
    /// A sentence that shows what was given and what is wanted.
    pub fn parse(text: &str) -> Result<Duration, String> {
        humantime::parse_duration(text.trim()).map_err(|_| {
            format!("{text:?} is no duration; write a number with its unit, such as 200ms, 4s or 1m 30s")
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    #[derive(serde::Serialize, serde::Deserialize, PartialEq, Debug)]
    struct Settings {
        #[serde(with = "super::duration")]
        wait: Duration,
    }

    #[test]
    fn durations_are_read_as_people_write_them_and_written_so_that_they_are_read_again() {
        for (text, millis) in [("333ms", 333), ("4s", 4000), ("0s", 0), ("1m 30s", 90_000), (" 2 s ", 2000)] {
            let settings: Settings = serde_json::from_value(serde_json::json!({ "wait": text })).unwrap();
            assert_eq!(settings.wait, Duration::from_millis(millis), "{text}");
            let again = serde_json::from_value(serde_json::to_value(&settings).unwrap()).unwrap();
            assert_eq!(settings, again);
        }
        let error = serde_json::from_value::<Settings>(serde_json::json!({ "wait": "soon" })).unwrap_err();
        assert!(error.to_string().contains("such as 200ms"), "{error}");
    }
}
