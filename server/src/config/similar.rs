//! The name that was meant by one that does not exist.

/// The name that is nearest to `wrong`, if one is near enough to be meant.
pub(crate) fn nearest<'a>(
    wrong: &str,
    names: impl Iterator<Item = &'a str> + Clone,
) -> Option<&'a str> {
    // Somebody knows the key but not its section.
    let last = |name: &str| name.rsplit('.').next().unwrap_or_default().to_owned();
    let mut same = names.clone().filter(|name| last(name) == wrong);
    if let (Some(only), None) = (same.next(), same.next()) {
        return Some(only);
    }
    let (distance, name) = names.map(|name| (distance(wrong, name), name)).min()?;
    (distance <= 2.max(wrong.len() / 4)).then_some(name)
}

/// How many letters are wrong, missing, or too many.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (at, letter) in one.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = at + 1;
        for column in 0..other.len() {
            let is_wrong = usize::from(letter != other[column]);
            let least = (diagonal + is_wrong).min(row[column] + 1).min(row[column + 1] + 1);
            diagonal = row[column + 1];
            row[column + 1] = least;
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_name_is_found_and_nonsense_means_nothing() {
        let names = ["data-dir", "raft.election-timeout", "tls.key", "listen", "http.listen"];
        let find = |wrong: &str| nearest(wrong, names.iter().copied());
        assert_eq!(find("datadir"), Some("data-dir"));
        assert_eq!(find("raft.election-timout"), Some("raft.election-timeout"));
        assert_eq!(find("election-timeout"), Some("raft.election-timeout"));
        assert_eq!(find("lisen"), Some("listen"));
        assert_eq!(find("colour-of-the-sky"), None);
    }
}
