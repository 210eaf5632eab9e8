"""The models, one file each, behind one interface; :mod:`fame.models.registry` is their table.

A further model is a module with ``build`` and ``costs`` and a row of the table, whose name stands
among :data:`fame.config.ModelName` and whose own settings are fields of
:class:`fame.config.ModelConfig`.
"""
