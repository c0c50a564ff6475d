"""The inspector: a page on which people talk to the bot, see why it does what it does, and the routes below it."""
