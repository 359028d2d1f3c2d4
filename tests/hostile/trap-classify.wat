;; world: classifier
;; Fails at once.
  (func (export "turnpike:policy/classify@0.1.0#classify") (result i32)
    (unreachable))
