;; world: biller
;; Leaves the worst case to the built-in, and fails on what happened.
  (func (export "turnpike:policy/bill@0.1.0#price")
    (param i32 i32 i32 i32 i32 i32) (param $settled i32) (param i32 i32) (result i32)
    (if (local.get $settled) (then (unreachable)))
    ;; err(abstain)
    (i32.store8 (i32.const 1024) (i32.const 1))
    (i32.const 1024))
