//! Rust source, line by line, with comments removed and the insides of literals blanked.
//!
//! Rules look at `code`, so that a sentence about `HashMap` in a comment, or a needle in a string,
//! does not count. The scanner knows nested block comments, raw strings, and a character literal
//! from a lifetime; it does not parse.
//!
//! Lines under `#[cfg(test)]` are marked: an inline module or item up to its closing brace. An
//! out-of-line `#[cfg(test)] mod x;` is listed in [`Scan::test_modules`]; [`crate::tree`] marks
//! the file it names.

/// One line of a Rust file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// The line without its comments. Inside a literal every character is a quote.
    pub code: String,
    /// Whether it is compiled for tests only.
    pub is_test: bool,
}

/// A scanned Rust file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scan {
    /// All lines, in order.
    pub lines: Vec<Line>,
    /// Names of the modules declared as `#[cfg(test)] mod name;`.
    pub test_modules: Vec<String>,
}

/// Scans a Rust file.
pub fn scan(text: &str) -> Scan {
    let mut scan = Scan { lines: strip(text), test_modules: Vec::new() };
    mark_tests(&mut scan);
    scan
}

/// Whether `code` contains `needle` as whole words: `Mutex` is not in `MutexLike`.
pub fn has_word(code: &str, needle: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let opens = needle.chars().next().is_some_and(is_word);
    let closes = needle.chars().next_back().is_some_and(is_word);
    code.match_indices(needle).any(|(at, _)| {
        let before = code[..at].chars().next_back().is_some_and(is_word);
        let after = code[at + needle.len()..].chars().next().is_some_and(is_word);
        !(opens && before || closes && after)
    })
}

/// What the scanner is inside of.
enum Inside {
    Code,
    LineComment,
    BlockComment { depth: usize },
    Text,
    RawText { hashes: usize },
}

fn strip(text: &str) -> Vec<Line> {
    let chars: Vec<char> = text.chars().collect();
    let mut lines = Vec::new();
    let mut code = String::new();
    let mut inside = Inside::Code;
    let mut at = 0;
    while at < chars.len() {
        let c = chars[at];
        if c == '\n' {
            lines.push(Line { code: std::mem::take(&mut code), is_test: false });
            if matches!(inside, Inside::LineComment) {
                inside = Inside::Code;
            }
            at += 1;
            continue;
        }
        at += match inside {
            Inside::Code => code_char(&chars[at..], &mut code, &mut inside),
            Inside::LineComment => 1,
            Inside::BlockComment { depth } => comment_char(&chars[at..], depth, &mut inside),
            Inside::Text => text_char(&chars[at..], &mut code, &mut inside),
            Inside::RawText { hashes } => {
                code.push('"');
                let closed = c == '"' && count_hashes(&chars[at + 1..]) >= hashes;
                if closed {
                    inside = Inside::Code;
                }
                if closed { 1 + hashes } else { 1 }
            }
        };
    }
    if !code.is_empty() || !text.is_empty() && !text.ends_with('\n') {
        lines.push(Line { code, is_test: false });
    }
    lines
}

/// Consumes from `rest`, which starts in code; returns how many characters it took.
fn code_char(rest: &[char], code: &mut String, inside: &mut Inside) -> usize {
    let next = rest.get(1).copied();
    match (rest[0], next) {
        ('/', Some('/')) => {
            *inside = Inside::LineComment;
            2
        }
        ('/', Some('*')) => {
            *inside = Inside::BlockComment { depth: 1 };
            2
        }
        ('"', _) => {
            code.push('"');
            *inside = Inside::Text;
            1
        }
        ('r', Some('"' | '#')) => {
            let hashes = count_hashes(&rest[1..]);
            code.push('r');
            if rest.get(1 + hashes) != Some(&'"') {
                return 1; // A raw identifier.
            }
            code.push('"');
            *inside = Inside::RawText { hashes };
            2 + hashes
        }
        ('\'', _) => {
            let length = char_literal(rest);
            code.extend(std::iter::repeat_n('\'', length));
            length
        }
        (c, _) => {
            code.push(c);
            1
        }
    }
}

/// The length of the character literal that `rest` starts with, or 1 for the tick of a lifetime.
fn char_literal(rest: &[char]) -> usize {
    match rest.get(1) {
        Some('\\') => {
            let tail = rest.iter().skip(3);
            let close = tail.take_while(|c| **c != '\n').position(|c| *c == '\'');
            close.map_or(1, |close| close + 4)
        }
        Some(_) if rest.get(2) == Some(&'\'') => 3,
        _ => 1,
    }
}

fn comment_char(rest: &[char], depth: usize, inside: &mut Inside) -> usize {
    match (rest[0], rest.get(1)) {
        ('/', Some('*')) => {
            *inside = Inside::BlockComment { depth: depth + 1 };
            2
        }
        ('*', Some('/')) => {
            *inside =
                if depth == 1 { Inside::Code } else { Inside::BlockComment { depth: depth - 1 } };
            2
        }
        _ => 1,
    }
}

fn text_char(rest: &[char], code: &mut String, inside: &mut Inside) -> usize {
    code.push('"');
    match (rest[0], rest.get(1)) {
        ('\\', Some('\n')) => 1, // The newline still ends the line.
        ('\\', Some(_)) => 2,
        ('"', _) => {
            *inside = Inside::Code;
            1
        }
        _ => 1,
    }
}

fn count_hashes(rest: &[char]) -> usize {
    rest.iter().take_while(|c| **c == '#').count()
}

/// Marks the item after each `#[cfg(test)]`, and notes out-of-line test modules.
fn mark_tests(scan: &mut Scan) {
    let mut at = 0;
    while at < scan.lines.len() {
        let code = scan.lines[at].code.trim();
        if !code.starts_with("#[cfg(test)]") && !code.starts_with("#[cfg(all(test,") {
            at += 1;
            continue;
        }
        let (end, item) = item_end(&scan.lines, at);
        for line in &mut scan.lines[at..=end] {
            line.is_test = true;
        }
        let declared = item.split_once("mod ").and_then(|(_, rest)| rest.strip_suffix(';'));
        if let Some(name) = declared {
            scan.test_modules.push(name.trim().to_string());
        }
        at = end + 1;
    }
}

/// The last line of the item that starts at line `start`, and its code up to the body.
fn item_end(lines: &[Line], start: usize) -> (usize, String) {
    let mut head = String::new();
    let mut depth = 0_usize;
    let mut has_body = false;
    for (at, line) in lines.iter().enumerate().skip(start) {
        for c in line.code.chars() {
            if !has_body {
                head.push(c);
            }
            match c {
                '{' => has_body = true,
                ';' if depth == 0 => return (at, head),
                _ => {}
            }
            match c {
                '{' | '(' | '[' => depth += 1,
                '}' | ')' | ']' => depth = depth.saturating_sub(1),
                _ => {}
            }
            if has_body && depth == 0 {
                return (at, head);
            }
        }
    }
    (lines.len() - 1, head)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(text: &str) -> Vec<String> {
        scan(text).lines.into_iter().map(|line| line.code).collect()
    }

    #[test]
    fn comments_are_removed() {
        assert_eq!(codes("a // b\n/* c /* d */ e */ f\n"), ["a ", " f"]);
        assert_eq!(codes("/* one\ntwo */ three"), ["", " three"]);
        assert_eq!(codes("//! doc"), [""]);
    }

    #[test]
    fn literals_are_blanked() {
        assert_eq!(codes(r#"x("a//b", y)"#), [r#"x("""""", y)"#]);
        assert_eq!(codes(r#"("\"", y)"#), [r#"(""", y)"#]);
        assert_eq!(codes("(r#\"a\"b\"#, y)"), ["(r\"\"\"\"\", y)"]);
        assert_eq!(codes("r#type"), ["r#type"]);
        assert_eq!(codes("('\"', '\\'', '\\u{7b}', y)"), ["(''', '''', '''''''', y)"]);
        assert_eq!(codes("\"one \\\n two\" y"), ["\"\"\"\"\"\"", "\"\"\"\"\" y"]);
    }

    #[test]
    fn lifetimes_are_code() {
        assert_eq!(codes("fn f<'a>(x: &'a str) // b"), ["fn f<'a>(x: &'a str) "]);
    }

    #[test]
    fn test_items_are_marked_to_their_end() {
        let text = "fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b([u8; 2]) {}\n}\nfn c() {}\n";
        let marks: Vec<bool> = scan(text).lines.iter().map(|line| line.is_test).collect();
        assert_eq!(marks, [false, true, true, true, true, false]);
    }

    #[test]
    fn test_modules_are_listed() {
        let scan = scan("#[cfg(test)]\n#[path = \"x\"]\nmod script;\n#[cfg(test)] mod tests;\n");
        assert_eq!(scan.test_modules, ["script", "tests"]);
        assert!(scan.lines.iter().all(|line| line.is_test));
    }

    #[test]
    fn words_are_whole() {
        assert!(has_word("use std::sync::Mutex;", "Mutex"));
        assert!(!has_word("MutexLike, my_Mutex", "Mutex"));
        assert!(has_word("x.await;", ".await"));
        assert!(!has_word("mythread::spawn", "thread::"));
    }
}
