//! Links inside the documents lead somewhere.
//!
//! Looked at: `[text](target)` and `[label]: target` in `*.md`, when the target is a path. A link
//! is relative to its document, and stays inside the workspace. Not looked at: addresses with a
//! scheme, anchors, code.

use crate::tree::SourceFile;
use crate::{Complaint, Tree};

/// Checks every Markdown file.
pub fn check(tree: &Tree) -> Vec<Complaint> {
    let mut found = Vec::new();
    for file in tree.files().filter(|file| file.path.ends_with(".md")) {
        for (line, target) in targets(file) {
            let path = target.split(['#', '?']).next().unwrap_or("");
            let resolved = resolve(&file.path, path);
            if !resolved.is_some_and(|path| tree.exists(&path)) {
                let what = format!("link to `{target}` leads nowhere");
                let instead = "correct the path or remove the link";
                found.push(Complaint::new(&file.path, line, what, instead));
            }
        }
    }
    found
}

/// The targets of `file` that are paths, with their lines.
fn targets(file: &SourceFile) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut is_fenced = false;
    for (at, line) in file.text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            is_fenced = !is_fenced;
            continue;
        }
        if is_fenced {
            continue;
        }
        // Every second piece between backquotes is code.
        let prose: String = line.split('`').step_by(2).collect::<Vec<_>>().join("`");
        let inline = prose.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next());
        let labelled = prose.strip_prefix('[').and_then(|rest| rest.split_once("]: "));
        let labelled = labelled.map(|(_, target)| target.trim());
        found.extend(
            inline
                .chain(labelled)
                .filter(|target| is_path(target))
                .map(|t| (at + 1, t.to_string())),
        );
    }
    found
}

fn is_path(target: &str) -> bool {
    !target.contains("://") && !target.starts_with("mailto:") && !target.starts_with('#')
}

/// `target` as a path from the top, unless it leaves the workspace.
fn resolve(document: &str, target: &str) -> Option<String> {
    let (dir, _) = document.rsplit_once('/').unwrap_or(("", document));
    let mut parts: Vec<&str> = dir.split('/').filter(|part| !part.is_empty()).collect();
    if target.starts_with('/') {
        return None;
    }
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use crate::complaints;

    #[test]
    fn dead_links_are_refused() {
        let text = "[a](b.md) [c](../gone.md#x)\n![d](/README.md)\n[e]: ../../../up.md\n";
        let nowhere = |line: usize, target: &str| {
            format!(
                "docs/a.md:{line}: link to `{target}` leads nowhere — correct the path or remove \
                 the link"
            )
        };
        assert_eq!(
            complaints(super::check, &[("docs/a.md", text), ("README.md", "")]),
            [
                nowhere(1, "../gone.md#x"),
                nowhere(1, "b.md"),
                nowhere(2, "/README.md"),
                nowhere(3, "../../../up.md"),
            ]
        );
    }

    #[test]
    fn living_links_pass() {
        let text = "[a](../README.md#top), [b](decisions) and [c](decisions/) [d](#here)\n\
                    [e](https://example.org/x) `[f](gone.md)`\n```\n[g](gone.md)\n```\n\
                    [h]: ../README.md\n";
        let files = [("docs/a.md", text), ("README.md", ""), ("docs/decisions/1.md", "")];
        assert_eq!(complaints(super::check, &files), [""; 0]);
    }
}
