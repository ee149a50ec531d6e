"""Templates that carry the words of one language from the moment they are compiled, so that no page has to look them up."""

import jinja2
from babel.support import NullTranslations
from jinja2 import nodes
from jinja2.visitor import NodeTransformer
from markupsafe import Markup

from prodsys.pages import still


class Worded(jinja2.Environment):
    """Templates in one language. What Jinja's i18n extension reads out of them is said as it would, only sooner."""

    catalogue: NullTranslations

    def speak(self, catalogue: NullTranslations) -> None:
        """Take the texts from here."""

        def gettext(message: str, /, **params: object) -> Markup:
            return _text(catalogue.gettext(message)) % params

        def ngettext(one: str, many: str, count: int, /, **params: object) -> Markup:
            return _text(catalogue.ngettext(one, many, count)) % ({"num": count} | params)

        self.catalogue = catalogue
        # Not by install_gettext_callables: what it makes is handed a copy of everything the page knows, each time.
        self.newstyle_gettext = True
        self.globals.update(_=gettext, gettext=gettext, ngettext=ngettext, static=still.address_of)

    def _generate(self, source: nodes.Template, name: str | None, filename: str | None, defer_init: bool = False) -> str:
        return super()._generate(_Wording(self).visit(source), name, filename, defer_init)


class _Wording(NodeTransformer):
    """Puts the text, or a file's address, where a template names the one it wants: between tags it becomes part of them."""

    def __init__(self, environment: Worded) -> None:
        self._environment = environment

    def visit_Call(self, node: nodes.Call) -> nodes.Node:  # noqa: N802  Jinja's own name
        self.generic_visit(node)
        match node:
            case nodes.Call(node=nodes.Name(name="_" | "gettext"), args=[nodes.Const(value=message)], dyn_kwargs=None):
                text = _text(self._environment.catalogue.gettext(message))
                # Percent signs are doubled in every text, also in one that has no places to fill.
                made: nodes.Expr = nodes.Mod(nodes.Const(text), _dict(node.kwargs)) if node.kwargs else nodes.Const(text % {})
            case nodes.Call(node=nodes.Name(name="static"), args=[nodes.Const(value=file)]):
                made = nodes.Const(still.address_of(file))
            case _:
                return node
        return made.set_lineno(node.lineno).set_environment(self._environment)


def _text(message: str) -> Markup:
    return Markup(message)  # noqa: S704  the catalogues are ours; what fills their places is escaped


def _dict(params: list[nodes.Keyword]) -> nodes.Dict:
    return nodes.Dict([nodes.Pair(nodes.Const(one.key), one.value) for one in params])
