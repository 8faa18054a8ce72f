//! Values of extra annotations: text with `{field}` placeholders, parsed once when the configuration is read.
//!
//! Every field is known to the engine and out of a pod author's reach. `{{` and `}}` are literal braces.

use crate::identity::{PodRef, Role, SandboxId};

/// What a placeholder stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placeholder {
    /// `{sandbox.id}`
    SandboxId,
    /// `{pod.name}`
    PodName,
    /// `{pod.namespace}`
    PodNamespace,
    /// `{pod.uid}`
    PodUid,
    /// `{container.type}`: `sandbox` or `container`.
    ContainerType,
    /// `{runtime.handler}`: the CRI runtime handler's name. An annotation that uses it is left out where it is not told:
    /// by interposers whose entry does not say it.
    RuntimeHandler,
    /// `{netns.path}`: the pin. An annotation that uses it is left out where the pod has none.
    NetnsPath,
}

const NAMES: [(&str, Placeholder); 7] = [
    ("sandbox.id", Placeholder::SandboxId),
    ("pod.name", Placeholder::PodName),
    ("pod.namespace", Placeholder::PodNamespace),
    ("pod.uid", Placeholder::PodUid),
    ("container.type", Placeholder::ContainerType),
    ("runtime.handler", Placeholder::RuntimeHandler),
    ("netns.path", Placeholder::NetnsPath),
];

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Field(Placeholder),
}

/// A parsed template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(Vec<Part>);

/// Why a text is not a template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// A placeholder nobody knows.
    #[error("unknown placeholder {{{0}}}, expected one of {list}", list = placeholder_list())]
    Unknown(String),
    /// `{` without `}`, or `}` alone.
    #[error("unbalanced brace at position {0}; write {{{{ or }}}} for a literal one")]
    Unbalanced(usize),
}

fn placeholder_list() -> String {
    NAMES.map(|(name, _)| format!("{{{name}}}")).join(", ")
}

/// The facts a template may show.
#[derive(Debug, Clone, Copy)]
pub struct Fields<'a> {
    /// The sandbox.
    pub sandbox: &'a SandboxId,
    /// Its pod.
    pub pod: &'a PodRef,
    /// Sandbox or member.
    pub role: Role,
    /// Runtime handler, empty for the default one, where it is told.
    pub handler: Option<&'a str>,
    /// The pin, where the container is given one.
    pub netns: Option<&'a str>,
}

impl Template {
    /// Parses `text`.
    ///
    /// # Errors
    /// An unknown placeholder or a brace without its other half.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(brace) = rest.find(['{', '}']) {
            literal.push_str(&rest[..brace]);
            let tail = &rest[brace..];
            let at = text.len() - tail.len();
            rest = if let Some(after) = tail.strip_prefix("{{") {
                literal.push('{');
                after
            } else if let Some(after) = tail.strip_prefix("}}") {
                literal.push('}');
                after
            } else {
                let (name, after) = tail
                    .strip_prefix('{')
                    .and_then(|inner| inner.split_once('}'))
                    .ok_or(TemplateError::Unbalanced(at))?;
                parts.push(Part::Text(std::mem::take(&mut literal)));
                parts.push(Part::Field(placeholder(name)?));
                after
            };
        }
        literal.push_str(rest);
        parts.push(Part::Text(literal));
        parts.retain(|part| *part != Part::Text(String::new()));
        Ok(Self(parts))
    }

    /// The text for these facts; `None` when it needs one that is not there.
    #[must_use]
    pub fn render(&self, fields: &Fields<'_>) -> Option<String> {
        let mut text = String::new();
        for part in &self.0 {
            text.push_str(match part {
                Part::Text(literal) => literal,
                Part::Field(Placeholder::SandboxId) => fields.sandbox.as_str(),
                Part::Field(Placeholder::PodName) => &fields.pod.name,
                Part::Field(Placeholder::PodNamespace) => &fields.pod.namespace,
                Part::Field(Placeholder::PodUid) => &fields.pod.uid,
                Part::Field(Placeholder::ContainerType) => fields.role.container_type()?,
                Part::Field(Placeholder::RuntimeHandler) => fields.handler?,
                Part::Field(Placeholder::NetnsPath) => fields.netns?,
            });
        }
        Some(text)
    }
}

fn placeholder(name: &str) -> Result<Placeholder, TemplateError> {
    NAMES
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, field)| *field)
        .ok_or_else(|| TemplateError::Unknown(name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(text: &str, netns: Option<&str>) -> Option<String> {
        let sandbox = SandboxId::try_from("s1").expect("id");
        let pod = PodRef { namespace: "ns".into(), name: "web".into(), uid: "u".into() };
        let fields = Fields { sandbox: &sandbox, pod: &pod, role: Role::Member, handler: Some("kata"), netns };
        Template::parse(text).expect(text).render(&fields)
    }

    #[test]
    fn every_placeholder_has_its_value() {
        let text = "{sandbox.id} {pod.namespace}/{pod.name} {pod.uid} {container.type} {runtime.handler} {netns.path}";
        assert_eq!(render(text, Some("/p")).as_deref(), Some("s1 ns/web u container kata /p"));
    }

    #[test]
    fn a_template_whose_fact_is_missing_renders_to_nothing() {
        assert_eq!(render("x{netns.path}", None), None);
        let (sandbox, pod) = (SandboxId::try_from("s1").expect("id"), PodRef::default());
        let fields = Fields { sandbox: &sandbox, pod: &pod, role: Role::Member, handler: None, netns: None };
        assert_eq!(Template::parse("{runtime.handler}").expect("template").render(&fields), None);
        assert_eq!(render("", None).as_deref(), Some(""));
    }

    #[test]
    fn double_braces_are_literal() {
        assert_eq!(render("{{{sandbox.id}}}", None).as_deref(), Some("{s1}"));
    }

    #[test]
    fn mistakes_are_named() {
        assert_eq!(Template::parse("{pod.nmae}"), Err(TemplateError::Unknown("pod.nmae".into())));
        assert_eq!(Template::parse("ab{c"), Err(TemplateError::Unbalanced(2)));
        assert_eq!(Template::parse("a}"), Err(TemplateError::Unbalanced(1)));
        let text = Template::parse("{x}").expect_err("unknown").to_string();
        assert!(text.contains("{x}") && text.contains("{sandbox.id}"), "{text}");
    }
}
