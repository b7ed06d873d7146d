"""The test kit: real servers, a small company, and a rig that executes operations and tells what each of them cost.

    async def test_one(rig: Rig) -> None:                     # a database of the module, to read from
        answer = await rig.execute("{ shifts { code } }", viewer=await rig.viewer(HR))
        assert answer.data == {"shifts": [...]}
        assert (len(answer.sql), len(answer.redis)) == (1, 1)

`fresh_rig` has a database of its own, to write to; `empty_rig` one without a company. tests/conftest.py holds the
fixtures. `rig.cold()` empties the cache, `rig.warm(...)` executes twice and answers the second time.
"""
