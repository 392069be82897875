//! The startup parameter `options`: command-line switches for one session (manual 55.7 `StartupMessage`, 20.1.4).

/// Why `options` is refused. Names may be shown, values are not here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OptionsError {
    /// A switch other than `-c name=value` and `--name=value`.
    #[error("startup option `{0}` is not supported: use `-c name=value`")]
    UnknownSwitch(String),
    /// A setting without `=`.
    #[error("startup option `{0}` needs a value")]
    NoValue(String),
    /// `-c` at the end.
    #[error("startup option `-c` needs a name and a value")]
    Incomplete,
}

/// The settings in an `options` string, in order, names with `-` turned into `_` as the server does.
///
/// Words are separated by white space; a backslash takes the next character as it is.
///
/// ```
/// use chaperone_wire::postgres::options;
///
/// let found = options::settings(r"-c work_mem=8MB -csearch_path=a,\ b --statement-timeout=5s").unwrap();
/// let found: Vec<_> = found.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
/// assert_eq!(found, [("work_mem", "8MB"), ("search_path", "a, b"), ("statement_timeout", "5s")]);
/// ```
///
/// # Errors
/// Any other switch: the server's own (`-B`, `-d`, `-f` …) change things that we do not follow.
pub fn settings(options: &str) -> Result<Vec<(String, String)>, OptionsError> {
    let mut found = Vec::new();
    let mut words = words(options).into_iter();
    while let Some(word) = words.next() {
        let setting = if word == "-c" {
            words.next().ok_or(OptionsError::Incomplete)?
        } else if let Some(setting) = word.strip_prefix("--").or_else(|| word.strip_prefix("-c")) {
            setting.to_owned()
        } else {
            return Err(OptionsError::UnknownSwitch(switch_name(&word)));
        };
        match setting.split_once('=') {
            Some((name, value)) if !name.is_empty() => found.push((name.replace('-', "_"), value.to_owned())),
            Some(_) => return Err(OptionsError::Incomplete),
            None => return Err(OptionsError::NoValue(setting)),
        }
    }
    Ok(found)
}

/// Joins settings to an `options` string that [`settings`] and a server read as them.
pub fn join<'a>(settings: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut options = String::new();
    for (name, value) in settings {
        options.push_str(if options.is_empty() { "-c " } else { " -c " });
        escape(name, &mut options);
        options.push('=');
        escape(value, &mut options);
    }
    options
}

fn escape(text: &str, into: &mut String) {
    for character in text.chars() {
        if is_space(character) || character == '\\' {
            into.push('\\');
        }
        into.push(character);
    }
}

/// What a word starts with, without a value that may follow: `-B`, or the first characters of something else.
fn switch_name(word: &str) -> String {
    let shown = if word.starts_with('-') { 2 } else { 0 };
    word.chars().take(shown).collect()
}

/// As the server's `pg_split_opts`: C's `isspace` in the C locale.
fn words(options: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut started = false;
    let mut characters = options.chars();
    while let Some(character) = characters.next() {
        if is_space(character) {
            if started {
                words.push(std::mem::take(&mut word));
                started = false;
            }
            continue;
        }
        started = true;
        match character {
            '\\' => word.extend(characters.next()),
            other => word.push(other),
        }
    }
    if started {
        words.push(word);
    }
    words
}

fn is_space(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\n' | '\r' | '\u{b}' | '\u{c}')
}
