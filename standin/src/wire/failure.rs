//! Exceptions of Azkaban's servlets, which Jetty shows as HTML pages with status 500.

use hyper::StatusCode;

use crate::wire::answer::Answer;

/// What ends a request with an exception: Jetty's page with status 500.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{class}: {message}")]
pub(crate) struct Failure {
    class: &'static str,
    message: String,
}

impl Failure {
    pub(crate) fn exception(class: &'static str, message: impl Into<String>) -> Self {
        Self {
            class,
            message: message.into(),
        }
    }

    /// A required parameter is not there.
    pub(crate) fn missing(name: &str) -> Self {
        Self::exception(
            "javax.servlet.ServletException",
            format!("Missing required parameter '{name}'."),
        )
    }

    /// A parameter is no number.
    pub(crate) fn number(text: &str) -> Self {
        Self::exception(
            "java.lang.NumberFormatException",
            format!("For input string: \"{text}\""),
        )
    }

    /// A null pointer, with the sentence a recent Java makes of it.
    pub(crate) fn null(call: &str, variable: &str) -> Self {
        let message = format!("Cannot invoke \"{call}\" because \"{variable}\" is null");
        Self::exception("java.lang.NullPointerException", message)
    }

    /// A wrong cast, shortened: Java goes on about class loaders.
    pub(crate) fn cast(from: &str, to: &str) -> Self {
        Self::exception(
            "java.lang.ClassCastException",
            format!("class {from} cannot be cast to class {to}"),
        )
    }

    /// A value in the place of a list, both of Java's own classes.
    pub(crate) fn cast_to_list(from: &str) -> Self {
        let message = format!(
            "class {from} cannot be cast to class java.util.List ({from} and java.util.List are in module java.base of \
             loader 'bootstrap')"
        );
        Self::exception("java.lang.ClassCastException", message)
    }

    /// The thread ran out of stack: Jetty has no words for that.
    pub(crate) fn stack_overflow() -> Self {
        Self::exception("java.lang.StackOverflowError", "")
    }

    /// What it says.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// Is it of the kind that calls catch when they read options?
    pub(crate) fn is_of_servlet(&self) -> bool {
        self.class == "javax.servlet.ServletException"
    }

    pub(crate) fn answer(&self, path: &str) -> Answer {
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        if self.message.is_empty() {
            return Answer::error_page(status, path, "INTERNAL_SERVER_ERROR", self.class)
                .reason("Internal Server Error");
        }
        Answer::error_page(status, path, &self.message, &self.to_string())
    }
}

#[cfg(test)]
mod tests {
    use hyper::ext::ReasonPhrase;

    use super::*;

    #[test]
    fn an_error_page_names_the_exception_in_title_and_status_line() {
        let response = Failure::missing("flow").answer("/manager").into_response();
        assert_eq!(response.status(), 500);
        let reason = response.extensions().get::<ReasonPhrase>().unwrap();
        assert_eq!(reason.as_bytes(), b"Missing required parameter 'flow'.");
        let page = String::from_utf8(Failure::null("F.g()", "<local5>").answer("/m").body.to_vec()).unwrap();
        assert!(
            page.contains(
                "<title>Error 500 Cannot invoke \"F.g()\" because \"&lt;local5&gt;\" is null</title>"
            )
        );
    }
}
