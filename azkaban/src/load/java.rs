//! The order in which Java's `HashMap` and `HashSet` give back strings: Azkaban's reports and searches follow it.

/// Java's `String.hashCode`, over UTF-16 units.
pub(super) fn hash_code(text: &str) -> u32 {
    text.encode_utf16().fold(0, |hash: u32, unit| {
        hash.wrapping_mul(31).wrapping_add(unit.into())
    })
}

/// Reorders items of distinct keys, given in the order of their insertion, to a hash table's order.
pub(super) fn hash_order<T>(items: &mut [T], hash_of_key: impl Fn(&T) -> u32) {
    let mut capacity: u32 = 16;
    while items.len() > capacity as usize / 4 * 3 {
        capacity *= 2;
    }
    items.sort_by_cached_key(|item| {
        let hash = hash_of_key(item);
        (hash ^ (hash >> 16)) & (capacity - 1)
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ordered(keys: &[&'static str]) -> Vec<&'static str> {
        let mut keys = keys.to_vec();
        hash_order(&mut keys, |key| hash_code(key));
        keys
    }

    #[test]
    fn hash_codes_are_javas() {
        for (text, code) in [
            ("", 0),
            ("a", 97),
            ("hello", 99_162_322),
            ("Aa", 2112),
            ("BB", 2112),
        ] {
            assert_eq!(hash_code(text), code, "{text}");
        }
        assert_eq!(hash_code("\u{1f600}"), 1_772_899);
    }

    #[test]
    fn order_is_by_bucket_and_then_by_insertion() {
        assert_eq!(ordered(&["c", "b", "a"]), ["a", "b", "c"]);
        assert_eq!(ordered(&["q", "p", "a"]), ["p", "q", "a"]);
        assert_eq!(ordered(&["BB", "Aa"]), ["BB", "Aa"]);
        assert_eq!(ordered(&["Aa", "BB"]), ["Aa", "BB"]);
    }
}
