"""The manners of our HTTP API: problems, pages of lists, ETags, repeats, limits, the contract."""

from prodsys.kit.states import etag, must_match
from prodsys.kit.web.app import provide_caller, web_app
from prodsys.kit.web.cursors import After, Limit, Page, decode_cursor, encode_cursor
from prodsys.kit.web.etags import IfMatch, IfNoneMatch, etag_of, not_modified, tagged
from prodsys.kit.web.forms import PDF, asked_form
from prodsys.kit.web.idempotency import Answered, IdempotencyKey, RequestKey, answered, once, purge, request_key
from prodsys.kit.web.limits import Limiter, Quota, charge
from prodsys.kit.web.openapi import answers, openapi_config, write_openapi
from prodsys.kit.web.problems import Problem
from prodsys.kit.web.replies import Reply, pdf

__all__ = [
    "PDF",
    "After",
    "Answered",
    "IdempotencyKey",
    "IfMatch",
    "IfNoneMatch",
    "Limit",
    "Limiter",
    "Page",
    "Problem",
    "Quota",
    "Reply",
    "RequestKey",
    "answered",
    "answers",
    "asked_form",
    "charge",
    "decode_cursor",
    "encode_cursor",
    "etag",
    "etag_of",
    "must_match",
    "not_modified",
    "once",
    "openapi_config",
    "pdf",
    "provide_caller",
    "purge",
    "request_key",
    "tagged",
    "web_app",
    "write_openapi",
]
