"""${message}."""

import sqlalchemy as sa
from alembic import op

from prodsys.kit.db import Code, Day, DecimalText, Hundredths, Instant

revision = ${repr(up_revision).replace("'", '"')}
down_revision = ${repr(down_revision).replace("'", '"') if down_revision else None}


def upgrade() -> None:
    ${upgrades if upgrades else "pass"}


def downgrade() -> None:
    ${downgrades if downgrades else "pass"}
