//! Java's hash order: Azkaban keeps its answers and flows in `HashMap`s, so their order on the wire is that of the hashes.

/// `String.hashCode`: over UTF-16 units, base 31, wrapping.
pub(crate) fn string_hash(text: &str) -> i32 {
    text.encode_utf16().fold(0_i32, |hash, unit| {
        hash.wrapping_mul(31).wrapping_add(i32::from(unit))
    })
}

/// Brings items into the order in which a `java.util.HashMap` that was filled with them one by one walks through them.
///
/// Items of one bucket keep the order they came in. (From 8 in one bucket on, Java turns it into a tree; that is not
/// followed.)
pub(crate) fn hash_order<T>(items: &mut [T], key: impl Fn(&T) -> &str) {
    let mask = buckets(items.len()) - 1;
    items.sort_by_cached_key(|item| bucket(key(item), mask));
}

/// The same for a map that was filled by one `putAll` while it was empty: its table is made to measure.
pub(crate) fn put_all_order<T>(items: &mut [T], key: impl Fn(&T) -> &str) {
    let mask = (items.len() * 4 / 3 + 1).next_power_of_two() - 1;
    items.sort_by_cached_key(|item| bucket(key(item), mask));
}

/// Length in UTF-16 units, which is what Java and the column widths count.
pub(crate) fn utf16_len(text: &str) -> usize {
    text.encode_utf16().count()
}

/// The first `units` UTF-16 units, as `String.substring(0, units)`; a character that would be split is left out.
pub(crate) fn cut(text: &str, units: usize) -> &str {
    let mut seen = 0;
    for (at, char) in text.char_indices() {
        seen += char.len_utf16();
        if seen > units {
            return &text[..at];
        }
    }
    text
}

/// Table size after `len` insertions into a default map: a power of two, at most three quarters full.
fn buckets(len: usize) -> usize {
    let mut size = 16;
    while len * 4 > size * 3 {
        size *= 2;
    }
    size
}

fn bucket(key: &str, mask: usize) -> usize {
    let hash = string_hash(key).cast_unsigned();
    (hash ^ (hash >> 16)) as usize & mask
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ordered(keys: &[&str]) -> Vec<String> {
        let mut keys: Vec<String> = keys.iter().map(|&key| key.to_owned()).collect();
        hash_order(&mut keys, |key| key);
        keys
    }

    #[test]
    fn strings_hash_as_in_java() {
        for (text, hash) in [("", 0), ("a", 97), ("project", -309_310_695), ("ä€𝄞", 16_602_546)] {
            assert_eq!(string_hash(text), hash, "{text}");
        }
    }

    #[test]
    fn answers_come_in_the_order_a_real_server_gave() {
        assert_eq!(
            ordered(&["project", "projectId", "flows"]),
            ["flows", "project", "projectId"]
        );
        assert_eq!(
            ordered(&["project", "projectId", "error"]),
            ["project", "error", "projectId"]
        );
        assert_eq!(
            ordered(&["status", "action", "path"]),
            ["path", "action", "status"]
        );
        assert_eq!(
            ordered(&["status", "scheduleId", "message"]),
            ["message", "scheduleId", "status"]
        );
    }

    #[test]
    fn a_map_filled_at_once_has_a_smaller_table() {
        let mut keys = ["length", "offset", "data"];
        put_all_order(&mut keys, |key| key);
        assert_eq!(keys, ["length", "offset", "data"]);
        let mut keys = ["status", "startTime", "endTime", "updateTime"];
        put_all_order(&mut keys, |key| key);
        assert_eq!(keys, ["startTime", "updateTime", "endTime", "status"]);
    }

    #[test]
    fn a_cut_never_splits_a_character() {
        assert_eq!(cut("abc", 2), "ab");
        assert_eq!(cut("abc", 9), "abc");
        assert_eq!(cut("a𝄞c", 2), "a");
        assert_eq!(utf16_len("a𝄞"), 3);
    }
}
