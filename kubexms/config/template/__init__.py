"""Templates: Jinja2 in a sandbox, with a record of what each rendered value depends on."""

from kubexms.config.template.engine import TemplateEngine, has_template
from kubexms.config.template.location import Locate
from kubexms.config.template.values import Deferred, RenderedValue, Sensitive, Unknown

__all__ = ["Deferred", "Locate", "RenderedValue", "Sensitive", "TemplateEngine", "Unknown", "has_template"]
