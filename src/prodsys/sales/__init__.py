"""Sales > Order drafts, and the door partners knock on."""
