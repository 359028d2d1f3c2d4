;; world: redactor
;; Fails on what comes from the caller: the direction has five letters, and not six.
  (func (export "turnpike:policy/redact@0.1.0#scan")
    (param i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
    (if (i32.eq (local.get 1) (i32.const 5)) (then (unreachable)))
    (i32.const 1024))
