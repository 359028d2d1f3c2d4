;; world: biller
;; Fails on the worst case before the call; afterwards it leaves the price to the built-in.
  (func (export "turnpike:policy/bill@0.1.0#price")
    (param i32 i32 i32 i32 i32 i32) (param $settled i32) (param i32 i32) (result i32)
    (if (i32.eqz (local.get $settled)) (then (unreachable)))
    ;; err(abstain)
    (i32.store8 (i32.const 1024) (i32.const 1))
    (i32.const 1024))
