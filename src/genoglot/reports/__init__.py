"""Pictures and reports of what models learned."""
