"""Leaderboards: from records to tables and static pages."""
