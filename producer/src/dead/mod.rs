//! What could not be applied. Pure: [`letter`] (what lies in the queue), [`id`] (how a person names one), [`filter`] (which are
//! meant), [`picked`] (each change once, and its place in a new run), [`overtaken`] (what newer runs did to the same flows),
//! [`document`] (a change as text to edit), [`words`] (rows and pages). Shell: [`desk`] (looking through the queue), [`take`] (taking letters out), [`again`]
//! (queueing anew), [`history`] (reading the streams).
//!
//! Nothing is lost: what is queued anew, or the rest of a letter, is confirmed first, then the letter is acknowledged. Whoever
//! dies in between leaves a duplicate, which the order of changes makes harmless. Letters are never held while a person
//! thinks: what was counted before a question is looked up again after it.

pub mod again;
pub mod desk;
pub mod document;
pub mod filter;
pub mod history;
pub mod id;
pub mod letter;
pub mod overtaken;
pub mod picked;
pub mod take;
pub mod words;
