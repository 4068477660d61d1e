//! The shrink guard: what Azkaban lists now and would not list afterwards must have been taken away by somebody.
//!
//! It does not trust the base: whatever was misread there would make flows of other people vanish, silently (azkaban-api.md,
//! facts 2 and 6).

use std::collections::BTreeSet;

use flowlift_azkaban::name::fold;

use super::draft::Draft;

/// Listed flows that would vanish without a reason: no deletion stands in the manifest, and no version that does not count
/// had brought them.
pub(super) fn unexplained(draft: &Draft<'_>, expected: &BTreeSet<String>) -> BTreeSet<String> {
    let kept: BTreeSet<String> = expected.iter().map(|flow| fold(flow)).collect();
    let explained =
        |key: &String| draft.manifest.gone_flows.contains_key(key) || draft.base.strays.contains(key);
    let listed = draft.base.listed.iter();
    listed
        .filter(|flow| {
            let key = fold(flow);
            !kept.contains(&key) && !explained(&key)
        })
        .cloned()
        .collect()
}
