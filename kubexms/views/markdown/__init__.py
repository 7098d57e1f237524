"""A plan as a comment on a pull request: GitHub's and GitLab's Markdown."""

from kubexms.views.markdown.comment import COMMENT_LIMIT, SUMMARY_LIMIT, plan_markdown

__all__ = ["COMMENT_LIMIT", "SUMMARY_LIMIT", "plan_markdown"]
